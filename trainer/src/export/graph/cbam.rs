//! Convolutions with attention.

use super::Graph;
use crate::net::{CbamCnn, CbamStage};
use crate::train::Settings;

impl Graph {
    /// A window to its features `[1, 1, channels]`.
    pub(super) fn cbam(&mut self, net: &CbamCnn, settings: &Settings) -> String {
        let mut x = self.picture(settings);
        let mut size = [settings.mean.len(), self.frames];
        for (index, stage) in net.stages.iter().enumerate() {
            size = size.map(|n| n.div_ceil(2));
            x = self.cbam_stage(&format!("stage{index}"), stage, &x, size.iter().product());
        }
        let channels = net.shape().channels.last().copied().unwrap_or(1);
        self.reshape(&x, "flat", &[1, channels, size.iter().product()]);
        let mean = self.reduce("ReduceMean", "flat", "mean_of_places", 2);
        self.reshape(&mean, "features", &[1, 1, channels]);
        "features".into()
    }

    fn cbam_stage(&mut self, name: &str, stage: &CbamStage, x: &str, places: usize) -> String {
        let part = |what: &str| format!("{name}_{what}");
        let halved = self.filtered(&part("halve"), &stage.halve, x);
        let x = self.unary("Relu", &halved, &part("halved"));
        let y = self.filtered(&part("filter"), &stage.filter, &x);
        let weights = self.channel_weights(name, stage, &y, places);
        let y = self.binary("Mul", &y, &weights, &part("by_channel"));
        let mean = self.reduce("ReduceMean", &y, &part("mean"), 1);
        let most = self.reduce("ReduceMax", &y, &part("most"), 1);
        self.concat(&[&mean, &most], &part("seen"), 1);
        let places = self.filtered(&part("places"), &stage.places, &part("seen"));
        let weights = self.unary("Sigmoid", &places, &part("place_weights"));
        let y = self.binary("Mul", &y, &weights, &part("by_place"));
        let sum = self.add(&x, &y, &part("sum"));
        self.unary("Relu", &sum, &part("out"))
    }

    /// `[1, channels, 1, 1]`
    fn channel_weights(&mut self, name: &str, stage: &CbamStage, y: &str, places: usize) -> String {
        let part = |what: &str| format!("{name}_channel_{what}");
        let channels = stage.squeeze.weight.dims()[0];
        self.reshape(y, &part("flat"), &[1, channels, places]);
        let mean = self.reduce("ReduceMean", &part("flat"), &part("mean"), 2);
        let most = self.reduce("ReduceMax", &part("flat"), &part("most"), 2);
        self.concat(&[&mean, &most], &part("both"), 2);
        let seen = self.transpose(&part("both"), &part("seen"), &[0, 2, 1]);
        self.linear(&part("squeeze"), &seen, &part("squeezed"), &stage.squeeze);
        let units = self.unary("Relu", &part("squeezed"), &part("units"));
        self.linear(&part("excite"), &units, &part("excited"), &stage.excite);
        self.builder.initializer_i64(&part("axis"), &[1], &[1]);
        let sum = self.binary("ReduceSum", &part("excited"), &part("axis"), &part("sum"));
        let weights = self.unary("Sigmoid", &sum, &part("sigmoid"));
        self.reshape(&weights, &part("weights"), &[1, channels, 1, 1]);
        part("weights")
    }
}
