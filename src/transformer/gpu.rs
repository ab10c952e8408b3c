//! Opening a GPU, which is used only if it computes what the CPU computes.

use std::sync::Arc;

use super::backend::{Backend, Step};
use super::cuda::{Device, Replica};
use super::model::Model;
use super::session::Session;
use crate::error::{Error, ErrorKind};

/// Lanes of the probe. With [`STEPS`] there are more lessons than the last layers need for a gradient step.
const LANES: usize = 5;
const STEPS: usize = 10;
/// Tokens of the first lane's first call: more than the window holds.
const PREFILL: usize = 20;
const WINDOW: usize = 16;
/// Of these, hidden places.
const SPARE: usize = 3;
/// The CPU's part of the probe is short: more threads would not make it shorter.
const MAX_THREADS: usize = 8;

/// GPU number `ordinal` with a copy of `model`.
///
/// # Errors
/// [`ErrorKind::Device`] if there is no such GPU, if it has too little memory, or if it fails the probe.
pub fn open_gpu(ordinal: usize, model: &Arc<Model>) -> Result<Arc<Replica>, Error> {
    prepare(open_device(ordinal)?, model)
}

/// The name of GPU number `ordinal`.
///
/// # Errors
/// [`ErrorKind::Device`] if there is no such GPU.
pub fn gpu_name(ordinal: usize) -> Result<String, Error> {
    Ok(open_device(ordinal)?.name().to_owned())
}

#[cfg(feature = "cuda")]
fn open_device(ordinal: usize) -> Result<Arc<dyn Device>, Error> {
    super::cuda::open(ordinal)
}

#[cfg(not(feature = "cuda"))]
fn open_device(_: usize) -> Result<Arc<dyn Device>, Error> {
    Err(Error::new(ErrorKind::Device, "this nzip was built without CUDA"))
}

/// Copies `model` to `device` and compares.
pub(super) fn prepare(device: Arc<dyn Device>, model: &Arc<Model>) -> Result<Arc<Replica>, Error> {
    let replica = Arc::new(Replica::new(device, model)?);
    probe(&replica, model)?;
    Ok(replica)
}

/// Evaluates some tokens on the device and on the CPU: many of a lane at once, one or two of each lane, across the end of the
/// window, with a head and a layer that learn.
pub(super) fn probe(replica: &Arc<Replica>, model: &Arc<Model>) -> Result<(), Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut session = Session::new(model.clone(), LANES, threads, WINDOW)?.sparing(SPARE)?.adaptive(1)?;
    session.accelerate(replica.clone())?;
    session.check();
    let vocabulary = model.config().vocabulary as u32;
    // Any tokens will do: a congruential generator gives the same everywhere.
    let mut state = 1u32;
    let mut token = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocabulary
    };
    for step in 0..STEPS {
        let count = |lane| if step == 0 && lane == 0 { PREFILL } else { 1 + usize::from(step % 4 == 3 && lane == 1) };
        let texts: Vec<Vec<u32>> = (0..LANES).map(|lane| (0..count(lane)).map(|_| token()).collect()).collect();
        let steps = texts.iter().enumerate();
        let steps: Vec<Step<'_>> =
            steps.map(|(lane, tokens)| Step { lane, tokens, from: tokens.len() - 1, open: 1 }).collect();
        session.advance(&steps, &mut |_, _, _| ());
        if let Some(error) = session.gpu_error() {
            let name = replica.weights.device.name();
            return Err(Error::new(ErrorKind::Device, format!("{name} is not used: {}", error.reason())));
        }
    }
    Ok(())
}
