//! The transformer on an NVIDIA GPU: the same bits as on the CPU, so that an archive does not depend on where it was made.
//!
//! ```text
//! kernels.cu ─► kernels.ptx   by build-ptx.py; the driver compiles the PTX for its GPU
//! Model ─► Replica            a copy on a device, shared by all sessions
//! rows ─► Accelerator         one session on the device
//!           ► Job               its rows, on their way to the device and back
//!             ► Batcher           joins the jobs of all sessions
//!               ► Pass              the forward pass of a batch
//!           ► Mirror            keys and values copied back, so that the CPU can go on if the device fails
//! ```
//! The GPU evaluates the forward pass and the softmax. Gradient steps run on the CPU, which sends the rows that changed.
//! Tests run the same kernels and the same host code on an emulator. docs/CUDA.md says more.

mod accelerator;
mod batcher;
mod buffers;
mod device;
#[cfg(feature = "cuda")]
mod driver;
mod job;
mod mirror;
mod own;
mod pass;
mod replica;
#[cfg(test)]
mod tests;
mod weights;

pub use accelerator::Accelerator;
pub use device::Device;
#[cfg(feature = "cuda")]
pub use driver::open;
pub use replica::Replica;
