//! The transformer on an NVIDIA GPU: the same bits as on the CPU, so that an archive does not depend on where it was made.
//!
//! ```text
//! kernels.cu ─► kernels.ptx   by build-ptx.py; the driver compiles the PTX for its GPU
//! Model ─► Weights            a copy on a device, shared by all sessions
//! rows ─► Accelerator         one session's forward pass on the device
//!           ► Mirror            keys and values copied back, so that the CPU can go on if the device fails
//! ```
//! The GPU evaluates the forward pass and the softmax. Gradient steps run on the CPU, which sends the rows that changed.
//! Tests run the same kernels and the same host code on an emulator. docs/CUDA.md says more.

mod device;
#[cfg(feature = "cuda")]
mod driver;
mod forward;
mod mirror;
#[cfg(test)]
mod tests;
mod weights;

pub use device::Device;
#[cfg(feature = "cuda")]
pub use driver::open;
pub use forward::Accelerator;
pub use weights::Weights;
