//! Convolutions of several scales, then recurrent units.

use super::Graph;
use crate::net::MsCrnn;
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, hidden]`.
    pub(super) fn ms_crnn(&mut self, net: &MsCrnn, settings: &Settings) -> String {
        let shape = net.shape();
        let picture = self.picture(settings);
        let sides: Vec<String> = net
            .scales
            .iter()
            .enumerate()
            .map(|(index, scale)| self.filtered(&format!("scale{index}"), scale, &picture))
            .collect();
        self.concat(&sides.iter().map(String::as_str).collect::<Vec<_>>(), "scales", 1);
        let mut x = self.unary("Relu", "scales", "scales_rectified");
        for (index, layer) in net.deeper.iter().enumerate() {
            let filtered = self.filtered(&format!("deeper{index}"), layer, &x);
            x = self.unary("Relu", &filtered, &format!("deeper{index}_rectified"));
        }
        // Time first, and all numbers of a frame in a row.
        let by_frame = self.transpose(&x, "by_frame", &[3, 0, 1, 2]);
        self.reshape(&by_frame, "sequence", &[self.frames, 1, net.project.weight.dims()[0]]);
        self.linear("project", "sequence", "projected", &net.project);
        let seen = self.unary("Relu", "projected", "units_in");
        self.units(0, &net.units, &seen, "");
        self.reshape("units0_next", "features", &[1, 1, shape.hidden]);
        "features".into()
    }
}
