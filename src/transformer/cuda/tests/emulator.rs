//! A device that runs the kernels on the CPU: `emulator/main.cpp`, compiled by `c++` ($CXX) and run as a process, so that a
//! kernel that goes out of range can't harm the test.

use std::env;
use std::fs;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use super::super::super::table::HostMemory;
use super::super::device::{Arg, Device, Kernel, Memory, Recording};
use crate::error::{Error, ErrorKind};

/// The program, compiled once.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = env::temp_dir().join(format!("nzip-emulator-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (source, program) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/src/transformer/cuda/emulator/main.cpp"), "emulator");
    let program = folder.join(program);
    let compiler = env::var_os("CXX").unwrap_or("c++".into());
    // Products and sums must not be fused, nor flushed, nor reordered: what GCC and Clang do without -ffast-math.
    let options = ["-std=c++17", "-O2", "-ffp-contract=off", "-fno-strict-aliasing"];
    let status = Command::new(&compiler).args(options).arg(source).arg("-o").arg(&program).status();
    let status =
        status.unwrap_or_else(|error| panic!("tests of the CUDA kernels need a C++ compiler ({compiler:?}): {error}"));
    assert!(status.success(), "{compiler:?} does not compile {source}");
    program
});

/// The process, and the number of launches after which it pretends that the GPU is lost.
struct Process {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// The emulated GPU.
pub struct Emulator {
    queue: Queue,
    /// Launches that are recorded instead of done.
    recorded: Mutex<Option<Vec<Launch>>>,
}

/// Where launches go.
#[derive(Clone)]
struct Queue {
    process: Arc<Mutex<Process>>,
    launches_left: Arc<AtomicUsize>,
}

/// The kernel, the grid, and the bits of the arguments.
type Launch = (Kernel, [u32; 2], Vec<u64>);

impl Emulator {
    /// `reverse` resumes waiting threads in the opposite order. After `launches` launches every further one fails.
    pub fn start(reverse: bool, launches: usize) -> Arc<dyn Device> {
        let mut command = Command::new(&*PROGRAM);
        command.args(reverse.then_some("reverse")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = BufWriter::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        let process = Arc::new(Mutex::new(Process { child, input, output }));
        let queue = Queue { process, launches_left: Arc::new(AtomicUsize::new(launches)) };
        Arc::new(Emulator { queue, recorded: Mutex::default() })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        assert!(self.recorded.lock().unwrap().is_none(), "only launches can be recorded");
        self.queue.process.lock().unwrap()
    }
}

impl Queue {
    fn launch(&self, (kernel, grid, bits): &Launch) -> Result<(), Error> {
        if self.launches_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err() {
            return Err(Error::new(ErrorKind::Device, "the GPU is lost"));
        }
        let mut process = self.process.lock().unwrap();
        process.send(b'l', &[*kernel as u64, grid[0].into(), grid[1].into(), bits.len() as u64]);
        bits.iter().for_each(|bits| process.input.write_all(&bits.to_le_bytes()).unwrap());
        assert_eq!(process.number(), 0);
        Ok(())
    }
}

/// Launches that were recorded, and where they go.
struct Recorded(Queue, Vec<Launch>);

impl Recording for Recorded {
    fn replay(&self) -> Result<(), Error> {
        self.1.iter().try_for_each(|launch| self.0.launch(launch))
    }
}

impl Process {
    fn send(&mut self, command: u8, numbers: &[u64]) {
        self.input.write_all(&[command]).unwrap();
        numbers.iter().for_each(|number| self.input.write_all(&number.to_le_bytes()).unwrap());
    }

    fn receive(&mut self, bytes: &mut [u8]) {
        self.input.flush().unwrap();
        if self.output.read_exact(bytes).is_err() {
            panic!("the emulator ended: {}", self.child.wait().unwrap());
        }
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.receive(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An allocation of the emulator.
struct Allocation {
    process: Arc<Mutex<Process>>,
    address: u64,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if let Ok(mut process) = self.process.lock() {
            process.send(b'f', &[self.address]);
        }
    }
}

/// What stands for pinned memory.
struct Words(Vec<u32>);

impl HostMemory for Words {
    fn words(&self) -> &[u32] {
        &self.0
    }

    fn words_mut(&mut self) -> &mut [u32] {
        &mut self.0
    }
}

impl Device for Emulator {
    fn name(&self) -> &str {
        "the emulator"
    }

    fn fork(&self) -> Result<Arc<dyn Device>, Error> {
        Ok(Arc::new(Emulator { queue: self.queue.clone(), recorded: Mutex::default() }))
    }

    fn wait(&self) -> Result<(), Error> {
        Ok(())
    }

    fn allocate(&self, len: usize) -> Result<Memory, Error> {
        let mut process = self.process();
        process.send(b'a', &[len as u64]);
        let address = process.number();
        let owner = Box::new(Allocation { process: self.queue.process.clone(), address });
        Ok(Memory { address, len, owner })
    }

    fn write(&self, to: &Memory, at: usize, bytes: &[u8]) -> Result<(), Error> {
        assert!(at <= to.len && bytes.len() <= to.len - at, "the memory is smaller");
        let mut process = self.process();
        process.send(b'w', &[to.address + at as u64, bytes.len() as u64]);
        process.input.write_all(bytes).unwrap();
        Ok(())
    }

    fn read(&self, from: &Memory, len: usize, unit: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        assert!(len <= from.len && len.is_multiple_of(unit), "the memory is smaller");
        // Small parts, so that tests have several.
        let size = (1000 / unit).max(1) * unit;
        let mut bytes = vec![0; size];
        for at in (0..len).step_by(size) {
            let part = &mut bytes[..size.min(len - at)];
            let mut process = self.process();
            process.send(b'r', &[from.address + at as u64, part.len() as u64]);
            process.receive(part);
            drop(process);
            take(part);
        }
        Ok(())
    }

    fn allocate_host(&self, words: usize) -> Result<Box<dyn HostMemory>, Error> {
        Ok(Box::new(Words(vec![0; words])))
    }

    fn read_to(&self, from: &Memory, to: &mut [&mut [u32]]) -> Result<(), Error> {
        let mut at = 0;
        for words in to {
            let mut process = self.process();
            let mut bytes = vec![0; 4 * words.len()];
            assert!(at + bytes.len() <= from.len, "the memory is smaller");
            process.send(b'r', &[from.address + at as u64, bytes.len() as u64]);
            process.receive(&mut bytes);
            at += bytes.len();
            words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, &bytes)| *word = u32::from_le_bytes(bytes));
        }
        Ok(())
    }

    fn launch(&self, kernel: Kernel, grid: [u32; 2], args: &[Arg]) -> Result<(), Error> {
        let bits = args.iter().map(|arg| match *arg {
            Arg::Address(address) => address,
            Arg::U32(value) => value.into(),
            Arg::F32(value) => value.to_bits().into(),
        });
        let launch = (kernel, grid, bits.collect());
        match &mut *self.recorded.lock().unwrap() {
            Some(recorded) => recorded.push(launch),
            None => return self.queue.launch(&launch),
        }
        Ok(())
    }

    fn record(&self, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<Box<dyn Recording>, Error> {
        *self.recorded.lock().unwrap() = Some(Vec::new());
        let result = launches();
        let recorded = self.recorded.lock().unwrap().take().unwrap();
        result?;
        Ok(Box::new(Recorded(self.queue.clone(), recorded)))
    }
}
