//! An NVIDIA GPU through its driver, which is loaded at run time. All `unsafe` code of the transformer is here: calls of the
//! driver, which knows nothing of lifetimes and of the kernels' arguments.
#![allow(unsafe_code)]

use std::sync::{Arc, Mutex};

use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PinnedHostSlice,
    PushKernelArg, result, sys,
};
use cudarc::nvrtc::Ptx;

use super::super::table::HostMemory;
use super::device::{Arg, Device, Kernel, Memory, Recording};
use crate::error::{Error, ErrorKind};

/// The kernels, made of `kernels.cu` by `build-ptx.py`.
static PTX: &str = include_str!("kernels.ptx");
/// The kernels in the order of [`Kernel`], with the threads of a block.
const KERNELS: [(&str, u32); 10] = [
    ("embed", 128),
    ("rms_norm", 128),
    ("quantise", 128),
    ("swiglu", 128),
    ("copy", 128),
    ("multiply", 128),
    ("rotate", 64),
    ("attend", 128),
    ("masses", 256),
    ("scatter", 128),
];
/// The oldest driver, 11.4, that has what is called: `cuGraphInstantiateWithFlags` is the newest.
const OLDEST_DRIVER: i32 = 11_040;
/// Bytes of a buffer that copies from the GPU go through, if a unit is not larger. There are two.
const PINNED: usize = 4 << 20;
/// The oldest GPUs, Turing, that the PTX is for.
const OLDEST_GPU: (i32, i32) = (7, 5);

/// A GPU and a stream on it.
struct Driver {
    name: String,
    stream: Arc<CudaStream>,
    functions: Arc<Vec<CudaFunction>>,
    /// Two buffers that the GPU can write: one is read while the other is written.
    pinned: Mutex<[Option<PinnedHostSlice<u8>>; 2]>,
}

/// A CUDA graph, which one thread at a time may use.
struct Graph(Mutex<CudaGraph>);

// SAFETY: no thread owns a graph; the driver asks only that two threads do not use it at the same time (CUDA driver API, "Graph
// object thread safety"). The mutex sees to that.
unsafe impl Send for Graph {}

impl Recording for Graph {
    fn replay(&self) -> Result<(), Error> {
        let graph = self.0.lock().expect("no panic while it was locked");
        failed("a graph", graph.launch())
    }
}

/// Memory that the GPU can write to, as the slice that it is.
struct Pinned(PinnedHostSlice<u32>, *mut u32);

// SAFETY: the pointer is that of the slice, which may go to other threads.
unsafe impl Send for Pinned {}
// SAFETY: the memory is written only through a mutable reference.
unsafe impl Sync for Pinned {}

impl HostMemory for Pinned {
    fn words(&self) -> &[u32] {
        // SAFETY: the slice is so long, initialised, and not written while the reference lives: `read_to` waits for its copies.
        unsafe { std::slice::from_raw_parts(self.1, self.0.len()) }
    }

    fn words_mut(&mut self) -> &mut [u32] {
        // SAFETY: as above, and the reference is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.1, self.0.len()) }
    }
}

/// GPU number `ordinal`.
///
/// # Errors
/// [`ErrorKind::Device`] if there is no driver or no such GPU, or if they are too old.
pub fn open(ordinal: usize) -> Result<Arc<dyn Device>, Error> {
    // SAFETY: it only tries to load the driver's library.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::new(ErrorKind::Device, "no NVIDIA driver is installed (libcuda was not found)"));
    }
    let mut version = 0;
    // SAFETY: the pointer is valid, and any thread may ask at any time.
    failed("the driver's version", unsafe { sys::cuDriverGetVersion(&mut version) }.result())?;
    if version < OLDEST_DRIVER {
        let (major, minor) = (version / 1000, version % 1000 / 10);
        return Err(Error::new(
            ErrorKind::Device,
            format!("the NVIDIA driver is too old: it supports CUDA {major}.{minor}, nzip needs 11.4"),
        ));
    }
    failed("its start", result::init())?;
    let count = failed("the number of GPUs", CudaContext::device_count())?;
    if ordinal >= count.max(0) as usize {
        return Err(Error::new(ErrorKind::Device, format!("there is no GPU {ordinal}: the driver knows of {count}")));
    }
    let context = failed("opening the GPU", CudaContext::new(ordinal))?;
    let name = failed("the GPU's name", context.name())?;
    let capability = failed("the GPU's capability", context.compute_capability())?;
    if capability < OLDEST_GPU {
        let (major, minor) = capability;
        return Err(Error::new(
            ErrorKind::Device,
            format!("{name} is too old: its compute capability is {major}.{minor}, nzip needs 7.5"),
        ));
    }
    // SAFETY: all memory is used on the stream of its allocation, but for weights, which are written before others read them.
    unsafe { context.disable_event_tracking() };
    let module = failed("loading the kernels", context.load_module(Ptx::from_src(PTX)))?;
    let functions = KERNELS.iter().map(|(name, _)| module.load_function(name)).collect::<Result<Vec<_>, _>>();
    let functions = Arc::new(failed("finding the kernels", functions)?);
    let stream = failed("a stream", context.new_stream())?;
    Ok(Arc::new(Driver { name, stream, functions, pinned: Mutex::default() }))
}

impl Driver {
    fn bind(&self) -> Result<(), Error> {
        failed("binding to a thread", self.stream.context().bind_to_thread())
    }
}

impl Device for Driver {
    fn name(&self) -> &str {
        &self.name
    }

    fn fork(&self) -> Result<Arc<dyn Device>, Error> {
        self.bind()?;
        let stream = failed("a stream", self.stream.context().new_stream())?;
        let (name, functions) = (self.name.clone(), self.functions.clone());
        Ok(Arc::new(Driver { name, stream, functions, pinned: Mutex::default() }))
    }

    fn wait(&self) -> Result<(), Error> {
        self.bind()?;
        failed("copying to the GPU", self.stream.synchronize())
    }

    fn allocate(&self, len: usize) -> Result<Memory, Error> {
        let slice: CudaSlice<u8> = failed("allocating memory", self.stream.alloc_zeros(len.max(16)))?;
        let address = slice.device_ptr(&self.stream).0;
        Ok(Memory { address, len, owner: Box::new(slice) })
    }

    fn write(&self, to: &Memory, at: usize, bytes: &[u8]) -> Result<(), Error> {
        assert!(at <= to.len && bytes.len() <= to.len - at, "the memory is smaller");
        if bytes.is_empty() {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: the allocation is alive and long enough. The driver copies pageable memory before the call returns.
        let copied = unsafe { result::memcpy_htod_async(to.address + at as u64, bytes, self.stream.cu_stream()) };
        failed("copying to the GPU", copied)
    }

    fn read(&self, from: &Memory, len: usize, unit: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        assert!(len <= from.len && len.is_multiple_of(unit), "the memory is smaller");
        self.bind()?;
        let size = (PINNED / unit).max(1) * unit;
        let mut buffers = self.pinned.lock().expect("no panic while it was locked");
        let mut copied = [None, None];
        for part in 0..=len.div_ceil(size) {
            // The copy of this part runs while the part before is taken.
            if part * size < len {
                let buffer = &mut buffers[part % 2];
                if buffer.as_ref().is_none_or(|buffer| buffer.len() < size) {
                    // SAFETY: the memory is written before it is read.
                    let memory = unsafe { self.stream.context().alloc_pinned_with_flags(size, 0) };
                    *buffer = Some(failed("allocating memory of the host", memory)?);
                }
                let bytes = buffer.as_mut().expect("allocated").as_mut_slice();
                let bytes = &mut failed("memory of the host", bytes)?[..size.min(len - part * size)];
                let source = from.address + (part * size) as u64;
                // SAFETY: the allocation is alive and long enough. Nothing uses this buffer before the event has come, and
                // it is freed after the stream has been waited for.
                let started = unsafe { result::memcpy_dtoh_async(bytes, source, self.stream.cu_stream()) };
                let event = started.and_then(|()| self.stream.record_event(None));
                copied[part % 2] = Some((failed("copying from the GPU", event)?, bytes.len()));
            }
            if let Some((event, len)) = part.checked_sub(1).and_then(|last| copied[last % 2].take()) {
                failed("copying from the GPU", event.synchronize())?;
                let bytes = buffers[(part - 1) % 2].as_ref().expect("allocated").as_slice();
                take(&failed("memory of the host", bytes)?[..len]);
            }
        }
        Ok(())
    }

    fn allocate_host(&self, words: usize) -> Result<Box<dyn HostMemory>, Error> {
        self.bind()?;
        // SAFETY: it is filled before it is read.
        let memory = unsafe { self.stream.context().alloc_pinned_with_flags::<u32>(words, 0) };
        let mut memory = failed("allocating memory of the host", memory)?;
        let slice = failed("memory of the host", memory.as_mut_slice())?;
        slice.fill(0);
        let pointer = slice.as_mut_ptr();
        Ok(Box::new(Pinned(memory, pointer)))
    }

    fn read_to(&self, from: &Memory, to: &mut [&mut [u32]]) -> Result<(), Error> {
        assert!(to.iter().map(|words| 4 * words.len()).sum::<usize>() <= from.len, "the memory is smaller");
        self.bind()?;
        let mut at = 0;
        let copied = to.iter_mut().try_for_each(|words| {
            let source = from.address + at as u64;
            at += 4 * words.len();
            // SAFETY: the allocation is alive and long enough. The copy ends before this function does.
            unsafe { result::memcpy_dtoh_async(words, source, self.stream.cu_stream()) }
        });
        // Whatever has failed, copies that have begun are waited for.
        let done = self.stream.synchronize();
        failed("copying from the GPU", copied.and(done))
    }

    fn launch(&self, kernel: Kernel, grid: [u32; 2], args: &[Arg]) -> Result<(), Error> {
        if grid.contains(&0) {
            return Ok(());
        }
        let (name, threads) = KERNELS[kernel as usize];
        let mut builder = self.stream.launch_builder(&self.functions[kernel as usize]);
        for arg in args {
            match arg {
                Arg::Address(address) => builder.arg(address),
                Arg::U32(value) => builder.arg(value),
                Arg::F32(value) => builder.arg(value),
            };
        }
        let (grid_dim, block_dim) = ((grid[0], grid[1], 1), (threads, 1, 1));
        // SAFETY: tests run the same launches on the emulator, which checks the number of arguments and every access.
        let launched = unsafe { builder.launch(LaunchConfig { grid_dim, block_dim, shared_mem_bytes: 0 }) };
        failed(name, launched.map(drop))
    }

    fn record(&self, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<Box<dyn Recording>, Error> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        failed("recording", self.stream.begin_capture(mode))?;
        let launched = launches();
        let graph = self.stream.end_capture(sys::CUgraphInstantiate_flags(0));
        launched?;
        let nothing = || Error::new(ErrorKind::Device, "the GPU failed (recording): there is nothing to record");
        Ok(Box::new(Graph(Mutex::new(failed("recording", graph)?.ok_or_else(nothing)?))))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A copy that failed half-way may still be writing to the pinned buffers; if this fails too, the GPU is lost.
        let _ = self.stream.synchronize();
    }
}

fn failed<T>(what: &str, result: Result<T, DriverError>) -> Result<T, Error> {
    result.map_err(|error| Error::new(ErrorKind::Device, format!("the GPU failed ({what}): {error}")))
}
