//! Makes pictures of the panel in a host while the phrase plays, on a display without a screen.
//!
//! `cargo run -p tocco_tests --bin panel -- docs/panel.png` makes the README's; with a folder, all views of the panel:
//! `... -- --views FOLDER`; and `... -- --golden` remakes the small ones that the test compares with.

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use anyhow::{Context, ensure};
    use tocco_tests::locate;
    use tocco_tests::panel::{GOLDEN_SIZE, VIEWS, View, golden};

    let usage = "Usage: panel FILE.png | --views FOLDER | --golden";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let each = |shoot: &dyn Fn(&View, u32) -> anyhow::Result<PathBuf>| -> anyhow::Result<()> {
        for view in &VIEWS {
            for scale in [1, 2] {
                println!("{}", shoot(view, scale)?.display());
            }
        }
        Ok(())
    };
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--views", folder] => {
            std::fs::create_dir_all(folder)?;
            each(&|view, scale| {
                let picture = Path::new(folder).join(format!("{}-{scale}x.png", view.name));
                view.shoot(scale, &picture)?;
                Ok(picture)
            })
        }
        ["--golden"] => each(&|view, scale| {
            let (folder, small) = (tempfile::tempdir()?, golden(view, scale));
            let picture = folder.path().join("panel.png");
            view.shoot(scale, &picture)?;
            let mut convert = Command::new(locate::tool("convert")?);
            convert.arg(&picture).args(["-resize", GOLDEN_SIZE, "+dither", "-colors", "128", "-strip"]).arg(&small);
            ensure!(convert.status()?.success(), "{} can't be written", small.display());
            Ok(small)
        }),
        [picture] if !picture.starts_with('-') => VIEWS.first().context(usage)?.shoot(1, Path::new(picture)),
        _ => anyhow::bail!(usage),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The pictures are made on Linux, where a display without a screen can be had.");
}
