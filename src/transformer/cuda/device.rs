//! What the forward pass needs of a device: memory, and launches of the kernels in `kernels.cu`.

use std::any::Any;
use std::sync::Arc;

use super::super::table::HostMemory;
use crate::error::Error;

/// A kernel. The emulator numbers them in this order.
#[derive(Clone, Copy, Debug)]
pub enum Kernel {
    Embed,
    RmsNorm,
    Quantise,
    Swiglu,
    Copy,
    Multiply,
    Rotate,
    Attend,
    Masses,
    Scatter,
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub enum Arg {
    Address(u64),
    U32(u32),
    F32(f32),
}

impl From<&Memory> for Arg {
    fn from(memory: &Memory) -> Self {
        Arg::Address(memory.address)
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Arg::U32(value)
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        Arg::F32(value)
    }
}

/// An allocation on a device, freed when dropped.
pub struct Memory {
    /// Where kernels find it.
    pub address: u64,
    /// Bytes.
    pub len: usize,
    /// Frees it.
    pub owner: Box<dyn Any + Send + Sync>,
}

/// A device, and a queue on it: what is written, launched and read in one queue happens in that order.
pub trait Device: Send + Sync {
    /// The name that its vendor gave it.
    fn name(&self) -> &str;

    /// The same device with a queue of its own.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`], as of all methods, if the device fails.
    fn fork(&self) -> Result<Arc<dyn Device>, Error>;

    /// Waits for all that is queued: what it wrote may then be used in other queues.
    fn wait(&self) -> Result<(), Error>;

    /// Allocates `len` bytes of zeros.
    fn allocate(&self, len: usize) -> Result<Memory, Error>;

    /// Copies `bytes` to `to`, from byte `at` on.
    ///
    /// # Panics
    /// If they do not fit.
    fn write(&self, to: &Memory, at: usize, bytes: &[u8]) -> Result<(), Error>;

    /// Calls `take` with the first `len` bytes of `from`, after all launches before: with one multiple of `unit` bytes after
    /// the other, while the next ones are being copied.
    ///
    /// # Panics
    /// If there is not so much, or if `len` is not a multiple of `unit`.
    fn read(&self, from: &Memory, len: usize, unit: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), Error>;

    /// Memory of the host that [`Device::read_to`] copies to fastest.
    fn allocate_host(&self, words: usize) -> Result<Box<dyn HostMemory>, Error>;

    /// Fills each of `to` with the bytes of `from` that follow those of the one before it, after all launches before.
    ///
    /// # Panics
    /// If there are not so many.
    fn read_to(&self, from: &Memory, to: &mut [&mut [u32]]) -> Result<(), Error>;

    /// Launches a grid of `grid[0]` columns and `grid[1]` rows of thread blocks. `args` are those of the kernel in `kernels.cu`.
    fn launch(&self, kernel: Kernel, grid: [u32; 2], args: &[Arg]) -> Result<(), Error>;

    /// What `launches` launches in this queue, to be done together and as often as wanted. It is not done now. `launches` must
    /// neither allocate nor copy.
    fn record(&self, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<Box<dyn Recording>, Error>;
}

/// Recorded launches: a CUDA graph.
pub trait Recording: Send {
    /// Launches them all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the device fails.
    fn replay(&self) -> Result<(), Error>;
}

/// The bytes of numbers, little-endian, as GPUs have them.
pub fn bytes_of<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}
