//! The models that come with Tocco.

/// Playing techniques.
pub const TECHNIQUES: &[u8] = include_bytes!("../library/techniques.onnx");
/// Instruments.
pub const INSTRUMENTS: &[u8] = include_bytes!("../library/instruments.onnx");

/// Every shipped model: the name under which a project remembers it, and its bytes.
#[must_use]
pub fn all() -> [(&'static str, &'static [u8]); 2] {
    [("techniques", TECHNIQUES), ("instruments", INSTRUMENTS)]
}
