//! Models, host names: what may take long and so is fetched by a thread of its own, or by the host's main
//! thread while it activates the plugin.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tocco_models::{Model, Recognizer, library};

use crate::inference::Ready;
use crate::instance::{Instance, Loaded, lock};
use crate::midi::MidiMap;
use crate::mode::{Mode, Placed, WISHED_SHARE, Why, Wish, place};
use crate::network::Target;
use crate::state::{Mapping, ModelChoice, OscTarget, Snapshot};
use crate::trial;

/// A model is tried in blocks of at most so many samples.
const LONGEST_TRIED: usize = 512;
/// A file that was not there is looked for again after this pause.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// A name that was not known is looked up again after this pause.
const LOOKUP_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What was done so far for one instance.
#[derive(Debug, Default)]
pub struct Slot {
    /// The revision of the settings, and the number of the host's slot, that are dealt with.
    settings: Option<(u64, u8)>,
    /// The choice that is dealt with, well or not.
    choice: Option<ModelChoice>,
    /// The settings' own choice, of those that could be loaded.
    kept: Option<ModelChoice>,
    /// The file that was not there, and when that was seen.
    missing: Option<(PathBuf, Instant)>,
    mappings: BTreeMap<String, Mapping>,
    /// The revision of the settings whose slots are loaded.
    preloaded: Option<u64>,
    /// Models so far.
    models: u64,
    /// Activations so far, and the newest while it lasts.
    activations: u64,
    activation: Option<Activation>,
    /// What the engine's recognizer was built for.
    built: Option<Built>,
}

/// What the host says when it activates the plugin.
#[derive(Debug, Clone, Copy)]
pub struct Activation {
    /// In Hz.
    pub sample_rate: f64,
    /// The most samples in a block.
    pub largest_block: usize,
    /// Whether it renders offline.
    pub is_rendering: bool,
}

/// A change of any of these needs another recognizer, or another look at where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Built {
    model: u64,
    activation: u64,
    wish: Wish,
}

impl Slot {
    /// The host activates the plugin.
    pub fn activate(&mut self, activation: Activation) {
        self.activations += 1;
        self.activation = Some(activation);
    }

    /// Whether the file that was missing is there.
    fn is_back(&mut self) -> bool {
        let Some((path, seen)) = &mut self.missing else { return false };
        if seen.elapsed() < LOOK_AGAIN_AFTER {
            return false;
        }
        *seen = Instant::now();
        path.exists()
    }

    /// The host deactivated it.
    pub fn deactivate(&mut self) {
        self.activation = None;
    }
}

/// Brings an instance to what its settings say. Cheap where nothing changed.
pub fn refresh(instance: &Instance, slot: &mut Slot) {
    if slot.activation.is_none() && instance.panels.load(Ordering::Relaxed) == 0 {
        return;
    }
    lock(&instance.notices).age();
    tell_of_panic(instance);
    instance.params.settings.follow(instance.params.revision.value());
    let revision = instance.params.settings.revision();
    let mut new_mappings = false;
    let number = instance.params.slot();
    let again = instance.try_again.swap(false, Ordering::AcqRel) || slot.is_back();
    if again {
        slot.choice = None;
    }
    if again || slot.settings != Some((revision, number)) {
        let snapshot = instance.params.settings.snapshot();
        let is_another_project =
            snapshot.restored && slot.settings.is_none_or(|(dealt_with, _)| dealt_with != snapshot.revision);
        slot.settings = Some((snapshot.revision, number));
        if is_another_project {
            slot.kept = None;
        }
        new_mappings = slot.mappings != snapshot.settings.mappings;
        slot.mappings.clone_from(&snapshot.settings.mappings);
        if slot.choice.as_ref() != Some(snapshot.settings.choice(number)) {
            choose(instance, slot, &snapshot, number, is_another_project);
        }
    }
    if instance.broken.load(Ordering::Relaxed) && instance.panics.load(Ordering::Relaxed) == 1 {
        slot.built = None;
    }
    let (activation, wish) = (slot.activations, instance.params.run_in.value());
    let wanted = instance.model.load().as_ref().map(|loaded| Built { model: loaded.number, activation, wish });
    if slot.activation.is_some() && slot.built != wanted {
        slot.built = wanted;
        build(instance, slot);
    } else if new_mappings && let Some(loaded) = &*instance.model.load() {
        instance.engine().install_map(MidiMap::new(&loaded.model.card().classes, &slot.mappings));
    }
}

/// Loads the chosen model. If that fails, the one in use goes on, save where a project was opened that names another:
/// its messages would be wrong under the project's mappings.
fn choose(instance: &Instance, slot: &mut Slot, snapshot: &Snapshot, number: u8, is_another_project: bool) {
    let choice = snapshot.settings.choice(number);
    slot.choice = Some(choice.clone());
    slot.missing = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| load(choice)))
        .unwrap_or_else(|_| Err(format!("{choice}: the model makes the network engine fail")));
    match outcome {
        Ok(model) => {
            slot.models += 1;
            if *choice == snapshot.settings.model {
                slot.kept = Some(choice.clone());
            }
            let loaded = Loaded { model, number: slot.models, choice: choice.clone() };
            instance.model.store(Some(Arc::new(loaded)));
            instance.panics.store(0, Ordering::Relaxed);
            let mut notices = lock(&instance.notices);
            notices.model = None;
            notices.recover();
        }
        Err(sentence) => {
            if let ModelChoice::Path(path) = choice
                && !path.exists()
            {
                slot.missing = Some((path.clone(), Instant::now()));
            }
            match (instance.model.load_full(), &slot.kept) {
                (Some(_), _) if is_another_project => instance.model.store(None),
                (Some(in_use), Some(kept)) if *choice == snapshot.settings.model && kept != choice => {
                    // Picked on the panel or by a patch: the project keeps what works. What was only switched to by the
                    // host's slot, or worked before, stays as it is written.
                    slot.choice = Some(in_use.choice.clone());
                    slot.missing = None;
                    instance.params.settings.change(|settings| settings.model.clone_from(kept));
                }
                _ => {}
            }
            lock(&instance.notices).model = Some(sentence);
        }
    }
}

/// What the audio thread had no voice to say.
fn tell_of_panic(instance: &Instance) {
    if instance.panicked_live.swap(false, Ordering::AcqRel) {
        let first = instance.panics.load(Ordering::Relaxed) == 1;
        let then = if first { "it was restarted on a worker" } else { "it stays off: choose another model" };
        lock(&instance.notices).break_down(format!("Recognising failed inside, on the audio thread; {then}."));
    }
}

/// Builds a recognizer for the model and rate, and hands it to the engine between two pieces of sound.
fn build(instance: &Instance, slot: &Slot) {
    let loaded = instance.model.load_full();
    // The sentence about a panic outlives the restart that follows it.
    let is_restart = instance.broken.load(Ordering::Relaxed) && instance.panics.load(Ordering::Relaxed) > 0;
    let ready = loaded.as_ref().zip(slot.activation).and_then(|(loaded, activation)| {
        let built = catch_unwind(AssertUnwindSafe(|| prepare(instance, &loaded.model, activation)));
        let sentence = match built {
            Ok(Ok(ready)) => {
                if !is_restart {
                    lock(&instance.notices).recover();
                }
                return Some(ready);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "The model makes the network engine fail.".to_owned(),
        };
        lock(&instance.notices).break_down(sentence);
        None
    });
    let card = loaded.as_ref().map(|loaded| loaded.model.card());
    let map = MidiMap::new(card.map_or(&[], |card| &card.classes), &slot.mappings);
    let number = loaded.as_ref().map_or(0, |loaded| loaded.number);
    let old = instance.engine().install(card, ready, map, number);
    instance.broken.store(false, Ordering::Relaxed);
    drop(old);
}

/// A recognizer, and where it is to run. One that may come to run on the audio thread is warmed up and measured first.
fn prepare(instance: &Instance, model: &Arc<Model>, activation: Activation) -> tocco_models::Result<Ready> {
    let Activation { sample_rate, largest_block, is_rendering } = activation;
    let mut recognizer = Recognizer::new(model, sample_rate, &instance.params.policy())?;
    let wish = instance.params.run_in.value();
    let network = &model.card().network;
    let is_candidate = wish == Wish::AudioThread || wish == Wish::Auto && network.is_stream();
    let plan = match instance.panics.load(Ordering::Relaxed) {
        0 if is_rendering => Some(Placed::worker(Why::Rendering)),
        0 if is_candidate => None,
        0 => Some(place(wish, network, None, Duration::ZERO)),
        _ => Some(Placed::worker(Why::Failed)),
    };
    if let Some(plan) = plan {
        return Ok(Ready { recognizer, share: None, plan });
    }
    // Hosts may call with less than they announced: a step must fit there too.
    let block = largest_block.min(LONGEST_TRIED);
    let duration = Duration::from_secs_f64(block as f64 / sample_rate);
    let (trial, share) = trial::run(model, &mut recognizer, sample_rate, block, duration.mul_f64(WISHED_SHARE))?;
    let plan = place(wish, network, Some(&trial), duration);
    instance.published.slowest_us.set(trial.slowest.as_secs_f32() * 1e6);
    instance.published.block_us.set(duration.as_secs_f32() * 1e6);
    Ok(Ready { recognizer, share: (plan.mode == Mode::AudioThread).then_some(share), plan })
}

/// The model of a choice; models that another instance uses are shared.
fn load(choice: &ModelChoice) -> Result<Arc<Model>, String> {
    let key = Key::of(choice)?;
    let mut models = lock(&MODELS);
    if let Some(model) = models.find(&key) {
        return Ok(model);
    }
    // The lock is held while loading: a project with forty instances of a model loads it once.
    let model = match choice {
        ModelChoice::Path(path) => Model::load(path).map_err(|error| error.to_string())?,
        ModelChoice::Library(name) => {
            let shipped = library::all().into_iter().find(|(shipped, _)| shipped == name);
            let (_, bytes) = shipped.ok_or_else(|| format!("«{name}» is no model of this version's library."))?;
            Model::from_bytes(bytes).map_err(|error| format!("{name}: {error}"))?
        }
    };
    models.add(key, &model);
    Ok(model)
}

/// Loads the models of the host's slots before they are asked for, so that a switch takes no longer than it must.
pub fn preload(instance: &Instance, slot: &mut Slot) {
    let revision = instance.params.settings.revision();
    if slot.preloaded != Some(revision) && slot.activation.is_some() {
        slot.preloaded = Some(revision);
        for choice in instance.params.settings.snapshot().settings.slots.values() {
            // One that can't be loaded says so when it is chosen.
            let _ = catch_unwind(AssertUnwindSafe(|| load(choice)));
        }
    }
}

/// Gives back the models that no instance uses.
pub fn forget_models() {
    lock(&MODELS).recent.clear();
}

/// So many models stay loaded after their last use: those of the slots, and two more.
const RECENT: usize = crate::state::SLOTS as usize + 2;

/// The models of this process.
struct Models {
    /// All that are alive.
    alive: Vec<(Key, Weak<Model>)>,
    /// The newest, kept for whoever comes back to one.
    recent: Vec<Arc<Model>>,
}

static MODELS: Mutex<Models> = Mutex::new(Models { alive: Vec::new(), recent: Vec::new() });

impl Models {
    fn find(&mut self, key: &Key) -> Option<Arc<Model>> {
        self.alive.retain(|(_, model)| model.strong_count() > 0);
        let model = self.alive.iter().find(|(other, _)| other == key).and_then(|(_, model)| model.upgrade())?;
        self.touch(&model);
        Some(model)
    }

    fn add(&mut self, key: Key, model: &Arc<Model>) {
        self.alive.push((key, Arc::downgrade(model)));
        self.touch(model);
    }

    fn touch(&mut self, model: &Arc<Model>) {
        self.recent.retain(|other| !Arc::ptr_eq(other, model));
        self.recent.push(Arc::clone(model));
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
    }
}

/// Two equal keys mean the same model.
#[derive(Debug, PartialEq)]
enum Key {
    Library(String),
    File { path: PathBuf, length: u64, modified: Option<SystemTime> },
}

impl Key {
    fn of(choice: &ModelChoice) -> Result<Self, String> {
        match choice {
            ModelChoice::Library(name) => Ok(Self::Library(name.clone())),
            ModelChoice::Path(path) => Self::of_file(path),
        }
    }

    fn of_file(path: &Path) -> Result<Self, String> {
        let file = std::fs::metadata(path).map_err(|error| {
            format!("{}: the model file can't be read ({error}). Put it back, or choose another.", path.display())
        })?;
        Ok(Self::File { path: path.to_owned(), length: file.len(), modified: file.modified().ok() })
    }
}

/// What is known of the hosts of the OSC targets.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The revision of the settings that is dealt with.
    revision: Option<u64>,
    lookups: Vec<Lookup>,
}

/// What is known of one of them.
#[derive(Debug)]
struct Lookup {
    target: OscTarget,
    known: Option<Address>,
    /// When its name was not known.
    failed: Option<Instant>,
    /// Where the answer of a lookup that is under way arrives.
    answer: Option<Receiver<Address>>,
}

type Address = Result<SocketAddr, String>;

/// Finds the addresses of the OSC targets where the settings name others. Never waits: a name may take half
/// a minute to resolve, so that is done on a thread of its own and its answer taken by a later call.
pub fn resolve(instance: &Instance) {
    resolve_with(instance, look_up);
}

fn resolve_with(instance: &Instance, look_up: fn(&str, u16) -> Address) {
    let mut resolved = lock(&instance.resolved);
    let mut news = false;
    if resolved.revision != Some(instance.params.settings.revision()) {
        let snapshot = instance.params.settings.snapshot();
        resolved.revision = Some(snapshot.revision);
        let targets: Vec<OscTarget> = snapshot.settings.osc.targets.into_iter().filter(|target| target.on).collect();
        if !resolved.lookups.iter().map(|lookup| &lookup.target).eq(&targets) {
            let mut before = std::mem::take(&mut resolved.lookups);
            let lookup = |target: OscTarget| match before.iter().position(|lookup| lookup.target == target) {
                Some(at) => before.swap_remove(at),
                None => Lookup::start(target, look_up),
            };
            resolved.lookups = targets.into_iter().map(lookup).collect();
            news = true;
        }
    }
    for lookup in &mut resolved.lookups {
        news |= lookup.go_on(look_up);
    }
    if news {
        let known = resolved.lookups.iter().filter_map(|lookup| lookup.known.clone());
        instance.targets.store(Arc::new(known.map(|address| Target { address }).collect()));
    }
}

impl Lookup {
    fn start(target: OscTarget, look_up: fn(&str, u16) -> Address) -> Self {
        let known = literal(&target).map(Ok);
        let answer = known.is_none().then(|| start_lookup(target.clone(), look_up));
        Self { target, known, failed: None, answer }
    }

    /// Whether more is known than before.
    fn go_on(&mut self, look_up: fn(&str, u16) -> Address) -> bool {
        if self.failed.is_some_and(|failed| failed.elapsed() > LOOKUP_AGAIN_AFTER) {
            self.failed = None;
            self.answer = Some(start_lookup(self.target.clone(), look_up));
        }
        let known = match self.answer.as_ref().map(Receiver::try_recv) {
            Some(Ok(address)) => address,
            Some(Err(TryRecvError::Disconnected)) => {
                Err(format!("The host «{}» can't be looked up: the system starts no thread.", self.target.host))
            }
            Some(Err(TryRecvError::Empty)) | None => return false,
        };
        self.answer = None;
        self.failed = known.is_err().then(Instant::now);
        self.known = Some(known);
        true
    }
}

/// The address of a host that needs no lookup.
fn literal(target: &OscTarget) -> Option<SocketAddr> {
    let host = target.host.trim();
    let ip = if host.eq_ignore_ascii_case("localhost") {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        host.trim_matches(['[', ']']).parse().ok()?
    };
    Some(SocketAddr::new(ip, target.port))
}

/// Asks the system on a thread that knows nothing but the name: nobody waits for it, it may outlive the instance,
/// and an answer that nobody wants any more is dropped.
fn start_lookup(target: OscTarget, look_up: fn(&str, u16) -> Address) -> Receiver<Address> {
    let (answer, receiver) = sync_channel(1);
    let work = move || {
        let _ = answer.send(look_up(target.host.trim(), target.port));
    };
    // Where no thread starts, the channel is closed, and that is the answer.
    let _ = thread::Builder::new().name("tocco-lookup".into()).spawn(work);
    receiver
}

fn look_up(host: &str, port: u16) -> Address {
    let unknown = |reason: String| format!("The host «{host}» is not known ({reason}): check its name.");
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?.collect();
    // Most receivers of OSC listen at IPv4 addresses alone, and systems name the others first.
    let best = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    best.copied().ok_or_else(|| unknown("no address".into()))
}

#[cfg(test)]
mod tests;
