//! `--config run.toml`: the options of `tocco train` as a file. Each key is an option's name with `_` for `-`, and
//! stands in the table that `--help` lists the option under: `--batch-size` under «Schedule» is `batch_size` in
//! `[schedule]`. An option on the command line goes before the file's. Under `[augment]` stand the tables of an
//! augmentation file too: `[augment.pitch_shift]`.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueEnum};
use tocco_models::Task;
use toml::de::DeValue;

use super::TaskName;
use super::segments::OF_SCENES;
use crate::augment::Config;
use crate::listen::{absolute, shipped};
use crate::nearest::did_you_mean;
use crate::net::Shape;
use crate::toml_file::{Entry, TomlFile};
use crate::train::{Options, kind_of};

/// Options that say which file or run is meant: they stand in none.
const NEVER: [&str; 5] = ["config", "finish", "help", "resume", "version"];
/// The table that holds those of augmentation too.
const AUGMENT: &str = "augment";

/// The file as arguments for `command`, without the options that `given` names already and without the tables of
/// augmentation. Paths in it are relative to its folder.
///
/// # Errors
/// The file holds what is no option of `command`: the sentence names file, line and key.
pub(super) fn arguments(file: &TomlFile, command: &Command, given: &[OsString]) -> Result<Vec<OsString>> {
    let whole = file.table()?;
    let mut found = Vec::new();
    for (key, value) in whole.get_ref() {
        match value.get_ref() {
            DeValue::Table(table) => {
                let within = Some(key.get_ref().as_ref());
                let options = table.iter().filter(|entry| within != Some(AUGMENT) || !is_table(entry));
                found.extend(options.map(|(inner, value)| (within, inner, value)));
            }
            _ => found.push((None, key, value)),
        }
    }
    let mut arguments = Vec::new();
    for (table, key, value) in found {
        let here = file.at(key.span().start);
        let arg = option(command, table, key.get_ref()).with_context(|| here.clone())?;
        let argument = argument(arg, value.get_ref(), file.folder()).with_context(|| here.clone())?;
        if let Some(argument) = argument.filter(|_| !is_given(&flag(arg), given)) {
            check(command, key.get_ref(), &argument).with_context(|| here.clone())?;
            arguments.push(argument);
        }
    }
    Ok(arguments)
}

/// Whether the file holds tables of augmentation.
///
/// # Errors
/// The file is no TOML.
pub(super) fn augments(file: &TomlFile) -> Result<bool> {
    let whole = file.table()?;
    let augment = whole.get_ref().get(AUGMENT).map(toml::Spanned::get_ref);
    Ok(matches!(augment, Some(DeValue::Table(table)) if table.iter().any(|entry| is_table(&entry))))
}

/// `config` with what the file's tables of augmentation say.
///
/// # Errors
/// As [`Config::read`].
pub(super) fn augmentation(file: &TomlFile, config: &Config) -> Result<Config> {
    let whole = file.table()?;
    let Some(DeValue::Table(table)) = whole.get_ref().get(AUGMENT).map(toml::Spanned::get_ref) else {
        return Ok(config.clone());
    };
    config.with_tables(file, &table.iter().filter(is_table).collect::<Vec<_>>())
}

fn is_table((_, value): &Entry<'_>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_))
}

/// The option that a key means.
fn option<'a>(command: &'a Command, table: Option<&str>, key: &str) -> Result<&'a Arg> {
    let all = || command.get_arguments().filter(|a| a.get_long().is_some_and(|long| !NEVER.contains(&long)));
    if let Some(table) = table.filter(|t| !all().any(|a| self::table(a).as_deref() == Some(t))) {
        ensure!(!Config::has_effect(table), "the table [{table}] belongs into [{AUGMENT}]: write [{AUGMENT}.{table}]");
        bail!("there is no table [{table}]{}", meant(table, all().filter_map(self::table)));
    }
    if let Some(arg) = all().find(|a| name(a) == key) {
        let right = self::table(arg);
        if right.as_deref() == table {
            return Ok(arg);
        }
        match right {
            Some(right) => bail!("the key «{key}» belongs into [{right}]"),
            None => bail!("the key «{key}» belongs before the first table"),
        }
    }
    if table == Some(AUGMENT) && Config::has_effect(key) {
        bail!("«{key}» is no value: what belongs to it stands in a table, [{AUGMENT}.{key}]");
    }
    bail!("there is no key «{key}»{}", meant(key, all().map(name)))
}

fn meant(word: &str, words: impl Iterator<Item = String>) -> String {
    did_you_mean(word, words.collect::<Vec<_>>().iter().map(String::as_str))
}

/// `--name=value`, or `--name`, or nothing where a switch is off.
fn argument(arg: &Arg, value: &DeValue<'_>, folder: &Path) -> Result<Option<OsString>> {
    let key = name(arg);
    let mut argument = OsString::from(flag(arg));
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value {
            DeValue::Boolean(on) => Ok(on.then_some(argument)),
            _ => bail!("«{key}» must be true or false"),
        };
    }
    argument.push("=");
    let word = word(value).with_context(|| format!("«{key}» must be a number, a text or a list of them"))?;
    if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
        let beside = folder.join(&word);
        let is_name = names_model(arg) && shipped(Path::new(&word)).is_some() && !beside.exists();
        argument.push(if is_name { word.into() } else { beside });
    } else {
        argument.push(word);
    }
    Ok(Some(argument))
}

/// Whether the name of a shipped model will do for a path.
fn names_model(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|name| ["from", "teacher"].contains(&name))
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Array(list) => {
            let words: Option<Vec<String>> = list.iter().map(|item| word(item.get_ref())).collect();
            words.map(|words| words.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Lets the option's own parser look at a value.
fn check(command: &Command, key: &str, argument: &OsStr) -> Result<()> {
    use clap::error::{ContextKind, ErrorKind};
    let Err(error) = command.clone().try_get_matches_from([OsStr::new("tocco"), argument]) else { return Ok(()) };
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return Ok(());
    }
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
    let reason = match (std::error::Error::source(&error), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(valid)) => format!("it must be one of {valid}"),
        (None, None) => "it is of the wrong kind".to_owned(),
    };
    bail!("«{key}» can't be «{value}»: {reason}")
}

/// Whether an option stands on the command line: `--name`, or `--name=value`.
pub(super) fn is_given(flag: &str, given: &[OsString]) -> bool {
    given
        .iter()
        .filter_map(|g| g.to_str())
        .any(|g| g.strip_prefix(flag).is_some_and(|r| r.is_empty() || r.starts_with('=')))
}

fn flag(arg: &Arg) -> String {
    format!("--{}", arg.get_long().unwrap_or_default())
}

/// The key of an option.
fn name(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().replace('-', "_")
}

/// The table that an option's key stands in.
fn table(arg: &Arg) -> Option<String> {
    arg.get_help_heading().map(str::to_lowercase)
}

/// A file that asks for what `matches` and `options` ask for; what the former leave open is as in the latter. All that
/// is known of augmentation stands in its tables.
///
/// # Errors
/// A path has no absolute form, or is not valid Unicode.
pub(super) fn as_used(command: &Command, matches: &ArgMatches, options: &Options) -> Result<String> {
    let without_scenes = |arg: &Arg| options.segments.is_some() && OF_SCENES.contains(&name(arg).as_str());
    let is_written = |arg: &Arg| table(arg).as_deref() != Some(AUGMENT) && !without_scenes(arg);
    let mut file = written(command, matches, &usual(options), is_written)?;
    file.insert(AUGMENT.to_owned(), options.augmentation.tables()?.into());
    Ok(toml::to_string(&file)?)
}

/// The same of a training whose options are all in `matches`, of which only some are used.
///
/// # Errors
/// As [`as_used`].
pub(super) fn as_given(command: &Command, matches: &ArgMatches, is_used: impl Fn(&Arg) -> bool) -> Result<String> {
    Ok(toml::to_string(&written(command, matches, &[], is_used)?)?)
}

/// The options for which `is_written`: as in `matches`, or where nobody said it as in `usual`.
fn written(
    command: &Command,
    matches: &ArgMatches,
    usual: &[(&'static str, toml::Value)],
    is_written: impl Fn(&Arg) -> bool,
) -> Result<toml::Table> {
    let mut file = toml::Table::new();
    let named = |arg: &&Arg| arg.get_long().is_some_and(|long| !NEVER.contains(&long));
    for arg in command.get_arguments().filter(named).filter(|arg| is_written(arg)) {
        let key = name(arg);
        let said = matches.value_source(arg.get_id().as_str()) != Some(ValueSource::DefaultValue);
        let usual = usual.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone());
        let words: Option<Vec<&OsStr>> = matches.get_raw(arg.get_id().as_str()).map(Iterator::collect);
        let value = if matches!(arg.get_action(), ArgAction::SetTrue) {
            Some(toml::Value::Boolean(matches.get_flag(arg.get_id().as_str())))
        } else if let Some(words) = words.filter(|_| said || usual.is_none()) {
            Some(as_value(arg, &words)?)
        } else {
            usual
        };
        let Some(value) = value else { continue };
        match table(arg) {
            None => file.insert(key, value),
            Some(table) => match file.entry(table).or_insert_with(|| toml::Table::new().into()) {
                toml::Value::Table(table) => table.insert(key, value),
                _ => None,
            },
        };
    }
    Ok(file)
}

fn as_value(arg: &Arg, words: &[&OsStr]) -> Result<toml::Value> {
    let plain = |word: &OsStr| -> Result<toml::Value> {
        if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
            let path = if names_model(arg) { absolute(Path::new(word))? } else { std::path::absolute(word)? };
            return Ok(path.to_str().with_context(|| format!("{}: not valid Unicode", path.display()))?.into());
        }
        let text = word.to_str().context("an option is not valid Unicode")?;
        let number = text.parse::<i64>().map(toml::Value::from).or_else(|_| text.parse::<f64>().map(toml::Value::from));
        Ok(number.unwrap_or_else(|_| text.into()))
    };
    match words {
        [word] => plain(word),
        words => Ok(toml::Value::Array(words.iter().map(|w| plain(w)).collect::<Result<_>>()?)),
    }
}

/// What the options are where nobody said, by their keys in a file.
fn usual(options: &Options) -> Vec<(&'static str, toml::Value)> {
    let whole = |n: usize| toml::Value::try_from(n).unwrap_or(toml::Value::Integer(i64::MAX));
    let list = |numbers: &[usize]| toml::Value::from(numbers.iter().map(|n| whole(*n)).collect::<Vec<_>>());
    // By way of their shortest text: 0.1 must not become 0.10000000149.
    let real = |x: f32| x.to_string().parse::<f64>().unwrap_or(f64::from(x)).into();
    let frontend = &options.frontend;
    let loss = options.training.loss_for(options.task);
    let task = if options.task == Task::Technique { TaskName::Technique } else { TaskName::Instruments };
    let mut usual = vec![
        ("task", name_of(&task)),
        ("sample_rate", i64::from(options.sample_rate).into()),
        ("fft_size", whole(frontend.fft_size)),
        ("window", whole(frontend.window)),
        ("hop", whole(frontend.hop)),
        ("mels", whole(frontend.mels)),
        ("fmin", real(frontend.fmin)),
        ("fmax", real(frontend.fmax)),
        ("frames_per_step", whole(options.frames_per_step)),
        ("windows_per_scene", whole(options.windows_per_scene)),
        ("stay", real(options.stay)),
        ("overlap", real(options.overlap)),
        ("balance", real(options.balance)),
        ("loss", name_of(&loss)),
        ("epochs", whole(options.epochs)),
        ("batch_size", whole(options.batch_size)),
        ("lr", options.lr.into()),
    ];
    if !frontend.extra_windows.is_empty() {
        usual.push(("extra_windows", list(&frontend.extra_windows)));
    }
    if let Some(kind) = kind_of(&options.shape) {
        usual.push(("net", name_of(&kind)));
    }
    if let Shape::StreamTcn(shape) = &options.shape {
        usual.push(("channels", whole(shape.channels)));
        usual.push(("dilations", list(&shape.dilations)));
    }
    usual
}

/// The word for a value on the command line.
fn name_of(value: &impl ValueEnum) -> toml::Value {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned()).into()
}
