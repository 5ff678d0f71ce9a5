//! A step's gradients: of one batch after the other, or of several at once where there are several devices.

use std::thread;

use anyhow::Result;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

use super::Options;
use super::batches::{self, Batch};
use super::loss::{self, Weighting};
use crate::net::Net;

/// Tells the seeds of what a network draws from those of scenes.
const DRAWS: u64 = 0x6472_6177;

/// What a step asks of each device.
pub(super) struct Lesson<'a> {
    pub options: &'a Options,
    pub weighting: &'a Weighting,
    /// Whether the trunk stays as it is.
    pub frozen: bool,
    /// The step that is made.
    pub step: usize,
}

/// Gradients of a batch, and its loss.
type Share = (GradientsParams, Tensor<1>);

impl Lesson<'_> {
    /// Mean of the gradients of `options.training.accumulate` batches on the first device, where the `net` is, and their
    /// losses. Each device takes its turn at the batches, as many at once as there are devices, and they are added in
    /// the order of the batches: the sum is that of one device. Statistics of batch normalisation are those of the
    /// first device.
    ///
    /// # Errors
    /// Where a batch can't be made.
    pub fn gradients(
        &self,
        net: &Net,
        devices: &[Device],
        next: &mut dyn FnMut() -> Result<Batch>,
    ) -> Result<(GradientsParams, Vec<Tensor<1>>)> {
        let on: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        for (index, device) in on.iter().enumerate() {
            // What the network draws at a step depends on the step and the device alone.
            let step = self.step as u64 ^ (index as u64) << 48;
            device.seed(batches::scene_seed(self.options.seed ^ DRAWS, step));
        }
        let copies: Vec<Net> = on[1..].iter().map(|device| net.clone().fork(device)).collect();
        let nets: Vec<&Net> = std::iter::once(net).chain(&copies).collect();
        let mut sum = GradientsAccumulator::new();
        let mut losses = Vec::new();
        for _ in 0..self.options.training.accumulate / on.len() {
            let batches = on.iter().map(|_| next()).collect::<Result<Vec<_>>>()?;
            let mut work: Vec<_> = nets.iter().zip(&batches).zip(&on).collect();
            let ((first_net, first_batch), first) = work.remove(0);
            let shares = thread::scope(|scope| {
                let work = work.into_iter().map(|((net, batch), on)| scope.spawn(|| self.share(net, batch, on)));
                let others: Vec<_> = work.collect();
                let mut shares = vec![self.share(first_net, first_batch, first)];
                for other in others {
                    shares.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                }
                shares
            });
            for (gradients, loss) in shares {
                sum.accumulate(net, gradients.to_device(&devices[0], net));
                losses.push(loss.to_device(&devices[0]));
            }
        }
        Ok((sum.grads(), losses))
    }

    fn share(&self, net: &Net, batch: &Batch, device: &Device) -> Share {
        let loss = self.loss(net, batch, device) / self.options.training.accumulate as f32;
        (GradientsParams::from_grads(loss.backward(), net), loss.inner())
    }

    fn loss(&self, net: &Net, batch: &Batch, device: &Device) -> Tensor<1> {
        let Options { task, training, .. } = self.options;
        let tensors = batch.to_device(device);
        let forward = if self.frozen { Net::forward_frozen } else { Net::forward };
        let logits = forward(net, tensors.frames.clone());
        let loss = loss::loss(&logits, &tensors, self.weighting);
        let Some(taught) = batch.taught(device) else { return loss };
        let other = loss::distillation(&logits, &taught, *task, training.teacher_temperature);
        loss * (1.0 - training.teacher_weight) + other * training.teacher_weight
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::module::{ModuleVisitor, Param};
    use tocco_models::Task;

    use super::*;
    use crate::net::{NetConfig, values};
    use crate::train::{LossKind, NetKind, preset};

    struct Numbers<'a> {
        gradients: &'a GradientsParams,
        all: Vec<f32>,
    }

    impl ModuleVisitor for Numbers<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.all.extend(values(&self.gradients.get::<D>(param.id).unwrap()));
        }
    }

    /// The processor twice: what a card more changes is where the second batch is computed.
    #[test]
    fn devices_that_share_the_batches_of_a_step_find_the_gradients_of_one() {
        let mut options = preset(NetKind::StreamTcn, Task::Technique);
        options.training.accumulate = 4;
        let (inputs, classes) = (options.frontend.frame_size(), 3);
        let config = NetConfig { inputs, classes, shape: options.shape.clone(), own_heads: false };
        let weighting = Weighting::plain(LossKind::CrossEntropy);
        let lesson = Lesson { options: &options, weighting: &weighting, frozen: false, step: 7 };
        let net = Net::new(&config, 3, &Device::flex().autodiff());
        let step = |devices: usize, batches: u64| {
            let mut seeds = 0..batches;
            let mut next = || Ok(Batch::random([30, inputs, classes], seeds.next().unwrap()));
            let (gradients, losses) = lesson.gradients(&net, &vec![Device::flex(); devices], &mut next).unwrap();
            let mut found = Numbers { gradients: &gradients, all: Vec::new() };
            net.visit(&mut found);
            assert_eq!(seeds.next(), None, "every batch is learnt from");
            (found.all, losses.into_iter().map(Tensor::into_scalar::<f32>).collect::<Vec<_>>())
        };
        let one = step(1, 4);
        assert!(one.0.iter().any(|slope| *slope != 0.0) && one.1[0] != one.1[3]);
        assert_eq!(step(2, 4), one);
        assert_eq!(step(4, 4), one);
    }
}
