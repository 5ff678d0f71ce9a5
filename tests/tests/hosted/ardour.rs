//! Ardour on a display without a screen and a JACK server without a sound card, driven as a musician's remote control
//! drives it: OSC for its menus and its transport, its own scripting for what needs a file dialog.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rosc::{OscMessage, OscPacket, OscType};
use tocco_tests::display::Display;
use tocco_tests::locate::{self, Child};
use tocco_tests::state::{State, VST3_ID};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often it may be sent away by JACK.
const TRIES: usize = 4;

const CONFIG: &str = include_str!("../../hosts/ardour/config.xml");
const CALL: &str = include_str!("../../hosts/ardour/call.lua");
const STEPS: &str = include_str!("../../hosts/ardour/steps.lua");

/// A home of its own, with Ardour's configuration and the plugin in it.
pub struct Home {
    folder: PathBuf,
    control: UdpSocket,
}

impl Home {
    /// In an empty folder, with the plugin's bundle and one preset of it.
    ///
    /// # Errors
    /// Where a file can't be written.
    pub fn new(folder: &Path, vst3: &Path, preset: (&str, &State)) -> Result<Self> {
        let version = major_version()?;
        let configuration = folder.join(format!(".config/ardour{version}"));
        let presets = folder.join(".vst3/presets/Tocco developers/Tocco");
        for needed in [&configuration, &presets, &folder.join(".cache"), &folder.join(".local/share")] {
            std::fs::create_dir_all(needed).with_context(|| format!("{} can't be made", needed.display()))?;
        }
        // A free port; Ardour takes it a second later.
        let port = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let control = UdpSocket::bind(("127.0.0.1", 0))?;
        control.connect(("127.0.0.1", port))?;

        // The mark of somebody who has been here before: no tour, no questions.
        std::fs::write(configuration.join(format!(".a{version}")), "")?;
        std::fs::write(configuration.join("config"), CONFIG.replace("{OSC_PORT}", &port.to_string()))?;
        std::fs::write(configuration.join("ui_scripts"), first_action(CALL)?)?;
        std::fs::write(folder.join("steps.lua"), STEPS)?;
        std::os::unix::fs::symlink(vst3, folder.join(".vst3/Tocco.vst3"))?;
        std::fs::write(presets.join(preset.0).with_extension("vstpreset"), preset.1.to_vst_preset())?;
        Ok(Self { folder: folder.to_path_buf(), control })
    }

    /// The project's file.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project/project.ardour")
    }

    /// Starts Ardour with the project, or with a new one where there is none, and waits until it is open.
    ///
    /// # Errors
    /// Where it is not installed, ends by itself or does not come up.
    pub fn open(&self, display: &Display) -> Result<Ardour<'_>> {
        for _ in 0..TRIES {
            // JACK 1.9 mistakes requests that two threads of a client send at once, as Ardour's do while it opens a
            // project, and then sends the client away: at any moment of it.
            if let Some(ardour) = self.start(display)? {
                std::thread::sleep(Duration::from_secs(2));
                if !self.was_sent_away() {
                    return Ok(ardour);
                }
            }
            println!("JACK sent Ardour away: once more");
        }
        bail!("JACK sends Ardour away each time:\n{}", self.log())
    }

    /// Whether JACK closed the connection.
    pub fn was_sent_away(&self) -> bool {
        self.log().contains("JACK HALTED")
    }

    /// None where JACK sent it away before the project was open.
    fn start(&self, display: &Display) -> Result<Option<Ardour<'_>>> {
        let mut command = Command::new(locate::tool("ardour")?);
        command.args(["--no-announcements", "--no-splash"]);
        if !self.project().exists() {
            command.arg("--new");
        }
        command.arg(self.folder.join("project")).current_dir(&self.folder);
        command.envs(display.environment()).env("HOME", &self.folder);
        for (variable, folder) in
            [("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"), ("XDG_DATA_HOME", ".local/share")]
        {
            command.env(variable, self.folder.join(folder));
        }
        command.env("TOCCO_STEP", self.step()).env("TOCCO_ANSWER", self.answer());
        let log = std::fs::File::create(self.folder.join("ardour.log"))?;
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
        let mut ardour = Ardour { home: self, process: Child::start(&mut command)? };
        Ok(ardour.opens()?.then_some(ardour))
    }

    /// What Ardour printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("ardour.log")).unwrap_or_default()
    }

    fn step(&self) -> PathBuf {
        self.folder.join("step.lua")
    }

    fn answer(&self) -> PathBuf {
        self.folder.join("answer.txt")
    }
}

/// A running Ardour; it ends with this, and without asking.
pub struct Ardour<'a> {
    home: &'a Home,
    process: Child,
}

impl Ardour<'_> {
    /// What it printed.
    pub fn log(&self) -> String {
        self.home.log()
    }

    /// Sends its remote control a message.
    ///
    /// # Errors
    /// Where the system can't.
    pub fn control(&self, address: &str, arguments: Vec<OscType>) -> Result<()> {
        let message = OscPacket::Message(OscMessage { addr: address.into(), args: arguments });
        let datagram = rosc::encoder::encode(&message)?;
        // A refused datagram speaks of the one before.
        self.home.control.send(&datagram).or_else(|_| self.home.control.send(&datagram))?;
        Ok(())
    }

    /// Chooses one of its menus' actions.
    ///
    /// # Errors
    /// See [`Ardour::control`].
    pub fn action(&self, name: &str) -> Result<()> {
        self.control("/access_action", vec![name.into()])?;
        // Actions are done one after the other, but windows come up in their own time.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// Plays from one sample of the project to another; `meanwhile` is called once it plays.
    ///
    /// # Errors
    /// Where the transport does not get there.
    pub fn play(&self, from: i32, to: i32, meanwhile: impl FnOnce()) -> Result<()> {
        self.control("/locate", vec![from.into(), 0.into()])?;
        self.wait_for_position(from, |position| position == from)?;
        // It fills its buffers from there in its own time, and would begin with silence.
        std::thread::sleep(Duration::from_secs(2));
        self.control("/transport_play", vec![])?;
        meanwhile();
        self.wait_for_position(to, |position| position >= to)?;
        self.control("/transport_stop", vec![])
    }

    fn wait_for_position(&self, sample: i32, is_there: impl Fn(i32) -> bool) -> Result<()> {
        // Without a sound card a busy machine plays slower than the clock.
        let start = Instant::now();
        while !is_there(self.step("position", &[])?.parse()?) {
            ensure!(start.elapsed() < PATIENCE, "the transport does not get to sample {sample}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Calls one of `steps.lua` with texts, and gives its answer.
    ///
    /// # Errors
    /// With Ardour's reason.
    pub fn step(&self, name: &str, arguments: &[&str]) -> Result<String> {
        self.write_step(name, arguments)?;
        self.control("/access_action", vec!["LuaAction/script-1".into()])?;
        self.answer(PATIENCE)?.with_context(|| format!("no answer to the step {name}"))
    }

    /// Saves the project and waits until the file is new.
    ///
    /// # Errors
    /// Where it stays old.
    pub fn save(&self) -> Result<()> {
        let saved = || self.home.project().metadata().and_then(|about| about.modified());
        let (before, start) = (saved()?, Instant::now());
        self.action("Common/Save")?;
        while saved()? == before {
            ensure!(start.elapsed() < PATIENCE, "{} was not saved", self.home.project().display());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends it by its menu, as a musician does.
    ///
    /// # Errors
    /// Where it does not end, or not well.
    pub fn quit(mut self) -> Result<()> {
        self.action("Common/Quit")?;
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait()? {
                ensure!(status.success(), "Ardour ended with {status}:\n{}", self.home.log());
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "Ardour does not end:\n{}", self.home.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the project; false where JACK sends it away meanwhile.
    fn opens(&mut self) -> Result<bool> {
        self.write_step("name", &[])?;
        let start = Instant::now();
        // Before the project is open nobody listens, and then the script finds none.
        while start.elapsed() < PATIENCE {
            let _ = self.control("/access_action", vec!["LuaAction/script-1".into()]);
            if matches!(self.answer(Duration::from_secs(1)), Ok(Some(_))) {
                return Ok(true);
            }
            if self.home.was_sent_away() {
                return Ok(false);
            }
            ensure!(self.process.0.try_wait()?.is_none(), "Ardour ended by itself:\n{}", self.home.log());
        }
        bail!("Ardour does not open the project:\n{}", self.home.log())
    }

    fn write_step(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let arguments: Vec<String> = arguments.iter().map(|text| quoted(text)).collect();
        let steps = quoted(&self.home.folder.join("steps.lua").to_string_lossy());
        let step = format!("return loadfile({steps})().{name}({})", arguments.join(", "));
        // Whole at once: a message that was sent twice may have it read at any moment.
        let part = self.home.step().with_extension("part");
        std::fs::write(&part, step)?;
        Ok(std::fs::rename(part, self.home.step())?)
    }

    fn answer(&self, longest: Duration) -> Result<Option<String>> {
        let start = Instant::now();
        while start.elapsed() < longest {
            if let Ok(answer) = std::fs::read_to_string(self.home.answer()) {
                std::fs::remove_file(self.home.answer())?;
                let Some(answer) = answer.strip_prefix("ok ") else { bail!("Ardour: {answer}") };
                return Ok(Some(answer.to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }
}

/// It names its folders by this; 7 was tested.
fn major_version() -> Result<String> {
    let output = Command::new(locate::tool("ardour")?).arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split("Ardour").skip(1).find_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    });
    version.with_context(|| format!("Ardour does not tell its version: {said}"))
}

/// The file in which Ardour keeps its scripts: a list in Lua, in base64, in XML.
fn first_action(script: &str) -> Result<String> {
    let list = format!(
        "scripts = {{}} scripts[1] = {{}} scripts[1]['n'] = 'step' scripts[1]['s'] = '' scripts[1]['a'] = {{}} \
         scripts[1]['c'] = '' scripts[1]['f'] = {}",
        quoted(script)
    );
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<UIScripts><ActionScript lua=\"Lua 5.3\">{}</ActionScript>\
         <ActionHooks/></UIScripts>\n",
        String::from_utf8(base64(&["--wrap", "0"], list.as_bytes())?)?
    ))
}

/// A text as Lua writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// What the plugin left in a project's file: Ardour keeps it as a preset.
///
/// # Errors
/// Where the project holds none.
pub fn state_in(project: &str) -> Result<State> {
    let of_plugin = project.split(&format!("unique-id=\"{VST3_ID}\"")).nth(1).context("the plugin is not in it")?;
    let chunk = of_plugin.split("<chunk>").nth(1).and_then(|rest| rest.split("</chunk>").next());
    State::from_vst_preset(&base64(&["--decode"], chunk.context("the plugin has no state in it")?.as_bytes())?)
}

/// The program of that name, which every Linux has.
fn base64(options: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut child =
        Command::new("base64").args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("base64")?;
    let mut pipe = child.stdin.take().context("base64 without an input")?;
    let input = input.to_vec();
    // Beside: it answers while it reads.
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("writing to base64 failed"))??;
    ensure!(output.status.success(), "base64 ended with {}", output.status);
    Ok(output.stdout)
}
