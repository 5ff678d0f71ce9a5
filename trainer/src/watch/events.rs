//! TensorBoard's event files: records in the framing of `TFRecord`, each a protobuf `Event`.
//!
//! Source of both: TensorFlow's `tfrecord` format (length, checksum, bytes, checksum; CRC-32C, masked) and
//! TensorBoard's `event.proto` and `summary.proto`, of which the messages here are the part that is written.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message as _;

use crate::picture::Picture;

/// What every event file's name starts with; TensorBoard looks for it.
const PREFIX: &str = "events.out.tfevents.";
/// The format that files of this kind declare in their first event.
const FILE_VERSION: &str = "brain.Event:2";
/// TensorFlow's number for a tensor of strings.
const DT_STRING: i32 = 7;
/// `SessionLog.START`: whatever older files say of this step and later ones is void.
const SESSION_START: i32 = 1;

/// Writes one event file. Each call leaves whole records behind, so that a killed training loses none.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Starts a file in `folder`, which is made. A training from the start (`first_step` 0) removes the files of an
    /// older one; a resumed one declares void what those say of the steps after `first_step`.
    ///
    /// # Errors
    /// The folder or file can't be written.
    pub fn create(folder: &Path, first_step: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder can't be made", folder.display()))?;
        if first_step == 0 {
            remove_older(folder)?;
        }
        let seconds = now().floor();
        // A training that is resumed within a second of its start gets a name of its own; names sort by time.
        let (path, file) = (0..1000)
            .map(|n| folder.join(format!("{PREFIX}{seconds:010}.tocco.{n:03}")))
            .find_map(|path| match File::create_new(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => None,
                opened => Some((path, opened)),
            })
            .with_context(|| format!("{}: too many event files of one second", folder.display()))?;
        let file = file.with_context(|| format!("{}: the event file can't be made", path.display()))?;
        let mut writer = Self { path, file };
        writer.write(0, What::FileVersion(FILE_VERSION.to_owned()))?;
        if first_step > 0 {
            writer.write(first_step + 1, What::SessionLog(SessionLog { status: SESSION_START }))?;
        }
        Ok(writer)
    }

    /// Numbers at a step, e.g. `train/loss`.
    ///
    /// # Errors
    /// The file can't be written.
    #[expect(clippy::cast_possible_truncation, reason = "curves need no more than single precision")]
    pub fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<()> {
        let value = |(tag, value): &(&str, f64)| Value {
            tag: (*tag).to_owned(),
            metadata: None,
            content: Some(Content::Simple(*value as f32)),
        };
        self.write(step, What::Summary(Summary { value: values.iter().map(value).collect() }))
    }

    /// A text in Markdown.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn text(&mut self, step: usize, tag: &str, markdown: &str) -> Result<()> {
        let tensor = Tensor {
            dtype: DT_STRING,
            shape: Some(Shape { dim: vec![Dimension { size: 1 }] }),
            string: vec![markdown.as_bytes().to_vec()],
        };
        let metadata = Metadata { plugin: Some(Plugin { name: "text".into() }), description: String::new() };
        let value = Value { tag: tag.to_owned(), metadata: Some(metadata), content: Some(Content::Tensor(tensor)) };
        self.write(step, What::Summary(Summary { value: vec![value] }))
    }

    /// A picture, with words that TensorBoard shows beside it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn picture(&mut self, step: usize, tag: &str, picture: &Picture, description: &str) -> Result<()> {
        const RGB: i32 = 3;
        let image = Image {
            height: i32::try_from(picture.height)?,
            width: i32::try_from(picture.width)?,
            colours: RGB,
            file: picture.gif()?,
        };
        let metadata = Metadata { plugin: Some(Plugin { name: "images".into() }), description: description.to_owned() };
        let value = Value { tag: tag.to_owned(), metadata: Some(metadata), content: Some(Content::Image(image)) };
        self.write(step, What::Summary(Summary { value: vec![value] }))
    }

    fn write(&mut self, step: usize, what: What) -> Result<()> {
        let event = Event { wall_time: now(), step: i64::try_from(step)?, what: Some(what) };
        self.file
            .write_all(&framed(&event.encode_to_vec()))
            .with_context(|| format!("{}: the event file can't be written", self.path.display()))
    }
}

/// Removes the event files of an older training; other files stay.
pub(super) fn remove_older(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
            std::fs::remove_file(&path)
                .with_context(|| format!("{}: the file of an older training can't be removed", path.display()))?;
        }
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// A record: length, its checksum, the bytes, their checksum; numbers are little-endian.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_checksum(bytes).to_le_bytes());
    record
}

/// CRC-32C, turned and shifted so that a checksum over data that holds checksums stays good.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, prost::Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
    #[prost(oneof = "Content", tags = "2, 4, 8")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    Simple(f32),
    #[prost(message, tag = "4")]
    Image(Image),
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
    #[prost(string, tag = "3")]
    description: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    #[prost(int32, tag = "3")]
    colours: i32,
    #[prost(bytes = "vec", tag = "4")]
    file: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    string: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    /// The events of a file, in the reader's own words of the format: fails at a wrong length or checksum.
    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, after) = rest.split_at(8);
            let (check, after) = after.split_at(4);
            assert_eq!(check, masked_checksum(length).to_le_bytes());
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            let (body, after) = after.split_at(length);
            let (check, after) = after.split_at(4);
            assert_eq!(check, masked_checksum(body).to_le_bytes());
            events.push(Event::decode(body).unwrap());
            rest = after;
        }
        events
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The first record of every event file in the world, as TensorBoard itself writes it apart from the clock:
    /// here with the time 0, its checksums computed by TensorBoard's own `masked_crc32c`.
    #[test]
    fn the_frame_is_that_of_tfrecord() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        let event = Event { wall_time: 0.0, step: 0, what: Some(What::FileVersion(FILE_VERSION.into())) };
        let bytes = event.encode_to_vec();
        assert_eq!(bytes, b"\x1a\x0dbrain.Event:2");
        let record = framed(&bytes);
        assert_eq!(record[..8], [15, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record[8..12], [109, 83, 43, 9]);
        assert_eq!(record[12..27], bytes);
        assert_eq!(record[27..], [252, 152, 81, 41]);
    }

    #[test]
    fn a_resumed_training_voids_what_came_after_and_a_new_one_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = EventWriter::create(folder.path(), 0).unwrap();
        first.scalars(1, &[("train/loss", 0.5), ("train/learning_rate", 0.25)]).unwrap();
        let mut second = EventWriter::create(folder.path(), 7).unwrap();
        second.scalars(8, &[("train/loss", 0.125)]).unwrap();
        let found = files(folder.path());
        assert_eq!(found.len(), 2);
        let events = read(&std::fs::read(&found[1]).unwrap());
        assert_eq!(events[1].step, 8);
        assert_eq!(events[1].what, Some(What::SessionLog(SessionLog { status: SESSION_START })));
        assert_eq!(events[2].step, 8);

        EventWriter::create(folder.path(), 0).unwrap();
        let left = files(folder.path());
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(read(&std::fs::read(&left[0]).unwrap()).len(), 1);
    }
}
