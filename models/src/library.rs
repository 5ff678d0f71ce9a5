//! The models that come with Tocco.

/// Playing techniques of winds, brass and strings.
pub const TECHNIQUES: &[u8] = include_bytes!("../library/techniques.onnx");
/// Instruments, any number at once.
pub const INSTRUMENTS: &[u8] = include_bytes!("../library/instruments.onnx");
/// Bowed or plucked: a double bass.
pub const BOWED_PLUCKED: &[u8] = include_bytes!("../library/bowed-plucked.onnx");

/// Every shipped model: the name under which a project remembers it, and its bytes.
#[must_use]
pub fn all() -> [(&'static str, &'static [u8]); 3] {
    [("techniques", TECHNIQUES), ("instruments", INSTRUMENTS), ("bowed-plucked", BOWED_PLUCKED)]
}
