//! The devices that a training computes on.

use anyhow::{Result, bail, ensure};
use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "wgpu", feature = "metal", feature = "libtorch"))]
use burn::tensor::DeviceType;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where the arithmetic of training runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The processor: always there.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// A graphics card through wgpu.
    Wgpu,
    /// An Apple graphics processor.
    Metal,
    /// The processor, by PyTorch's library: sooner for networks of windows, later for those that stream.
    Libtorch,
    /// An NVIDIA card, by PyTorch's library.
    LibtorchCuda,
    /// An Apple graphics processor, by PyTorch's library.
    LibtorchMps,
}

impl DeviceKind {
    /// # Errors
    /// Where this program was built without the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(any(feature = "wgpu", feature = "metal"))]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "libtorch")]
            Self::Libtorch => Ok(Device::libtorch()),
            #[cfg(feature = "libtorch")]
            Self::LibtorchCuda => Ok(Device::libtorch_cuda(0)),
            #[cfg(feature = "libtorch")]
            Self::LibtorchMps => Ok(Device::libtorch_mps()),
            #[allow(unreachable_patterns, reason = "with every feature on nothing is left")]
            other => {
                let (name, feature) = (other.name(), other.feature());
                bail!(
                    "this program was built without the device «{name}»: build it with `cargo install --path trainer \
                     --features {feature}`, or train with `--device cpu`"
                )
            }
        }
    }

    /// So many devices of the kind; one is that of [`DeviceKind::open`].
    ///
    /// # Errors
    /// As [`DeviceKind::open`], or where there are not so many.
    pub fn open_all(self, count: usize) -> Result<Vec<Device>> {
        let one = self.open()?;
        let mut there = match self {
            _ if count == 1 => vec![one],
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
            #[cfg(any(feature = "wgpu", feature = "metal"))]
            Self::Wgpu => Device::enumerate(DeviceType::Wgpu).into_vec(),
            #[cfg(feature = "metal")]
            Self::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
            // PyTorch's cards alone: its processor is not in the list.
            #[cfg(feature = "libtorch")]
            Self::LibtorchCuda => Device::enumerate(DeviceType::LibTorch).into_vec(),
            // There is one processor; its cores work together as it is.
            _ => vec![one],
        };
        ensure!(
            (1..=there.len()).contains(&count),
            "--devices is {count}: «--device {}» has {} here",
            self.name(),
            there.len()
        );
        there.truncate(count);
        Ok(there)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The feature of this package that brings the device.
    fn feature(self) -> &'static str {
        match self {
            Self::Cpu => "default",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
            Self::Libtorch | Self::LibtorchCuda | Self::LibtorchMps => "libtorch",
        }
    }
}
