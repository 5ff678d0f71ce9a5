//! Makes the README's picture: the panel in a host while the phrase plays, on a display without a screen.
//!
//! `cargo run -p tocco_tests --bin panel -- docs/panel.png`

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use anyhow::{Context, anyhow};
    use tocco_tests::{demo, display::Display, host::Host, locate, osc::Receiver, phrase::Phrase, state::State};

    /// Where the picture is taken: in the middle of a plucked note, in seconds.
    const FROM_S: f64 = 12.0;
    const TO_S: f64 = 15.8;

    let picture = std::env::args().nth(1).context("Usage: panel FILE.png")?;
    let display = Display::start("1600x1200x24")?;
    display.make_current();
    // The panel says whether somebody listens.
    let receiver = Receiver::at(5005)?;
    let phrase = Phrase::load(&locate::repository().join("tests/demo"))?;
    let mut host = Host::load(&locate::clap()?)?;
    host.restore(&State::empty().with_osc_port(receiver.port()))?;
    let size = host.open_panel(display.root_window()?)?;
    let rate = f64::from(phrase.rate);
    let processor = host.activate(rate, 512)?;
    let part = phrase.part(FROM_S, TO_S);
    let processor = std::thread::scope(|scope| {
        let audio = scope.spawn(|| demo::stream(processor, part, rate));
        while !audio.is_finished() {
            host.run_callbacks();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
    })?
    .0;
    display.shoot(picture.as_ref(), Some(size))?;
    host.close_panel();
    host.deactivate(processor);
    println!("{picture}: {} x {} pixels", size.0, size.1);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The picture is made on Linux, where a display without a screen can be had.");
}
