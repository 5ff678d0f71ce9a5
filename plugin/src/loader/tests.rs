#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::params::ToccoParams;
use crate::state::OscSettings;

const LOOKUP: Duration = Duration::from_millis(400);

fn slow(_host: &str, port: u16) -> Address {
    thread::sleep(LOOKUP);
    Ok(SocketAddr::from(([192, 0, 2, 7], port)))
}

fn aim(instance: &Instance, host: &str) {
    instance.params.settings.change(|settings| settings.osc = OscSettings::to(OscTarget::new(host, 9000)));
}

fn address(instance: &Instance) -> Option<Address> {
    instance.targets.load().first().map(|target| target.address.clone())
}

#[test]
fn a_slow_lookup_holds_nobody_up_and_its_answer_arrives() {
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    aim(&instance, "far.example");
    let start = Instant::now();
    resolve_with(&instance, slow);
    resolve_with(&instance, slow);
    drop(lock(&instance.resolved));
    assert!(start.elapsed() < LOOKUP, "waited {:?}", start.elapsed());
    assert_eq!(address(&instance), None);
    while address(&instance).is_none() {
        assert!(start.elapsed() < Duration::from_secs(10), "no answer");
        thread::sleep(Duration::from_millis(5));
        resolve_with(&instance, slow);
    }
    assert_eq!(address(&instance), Some(slow("", 9000)));
}

#[test]
fn the_answer_of_a_lookup_that_is_out_of_date_is_dropped() {
    let instance = Instance::new(Arc::new(ToccoParams::default()));
    aim(&instance, "far.example");
    resolve_with(&instance, slow);
    aim(&instance, "[::1]");
    resolve_with(&instance, slow);
    thread::sleep(LOOKUP + Duration::from_millis(100));
    resolve_with(&instance, slow);
    assert_eq!(address(&instance), Some(Ok("[::1]:9000".parse().unwrap())));
}
