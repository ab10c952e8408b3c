//! Whole sessions on the emulator: the distributions must be the CPU's, bit for bit.

use std::sync::Arc;

use super::super::replica::Replica;
use super::emulator::Emulator;
use crate::test_random::TestRandom;
use crate::transformer::checkpoint::{Config, Extras};
use crate::transformer::gpu::{prepare, probe};
use crate::transformer::tests::fixtures::{add_extras, in_opposite_order, random_checkpoint};
use crate::transformer::{Backend, Model, Session, Step};

const WINDOW: usize = 40;
const SPARE: usize = 4;
const LANES: usize = 3;

/// Sizes that are no multiple of anything that kernels like.
fn odd() -> Config {
    Config {
        vocabulary: 300,
        hidden: 96,
        layers: 3,
        heads: 6,
        kv_heads: 2,
        head_dim: 24,
        feed_forward: 80,
        norm_eps: 1e-5,
        rope_theta: 10000.0,
        context: 64,
        extras: Extras::default(),
    }
}

fn model(config: Config, tied: bool) -> Arc<Model> {
    let order: Vec<u32> = (5..config.vocabulary as u32).rev().collect();
    Arc::new(Model::new(random_checkpoint(config, tied, 3), &order).unwrap())
}

fn emulated(model: &Model, reverse: bool, launches: usize) -> Arc<Replica> {
    Arc::new(Replica::new(Emulator::start(reverse, launches), model).unwrap())
}

fn session(model: &Arc<Model>, learning: Option<usize>) -> Session {
    session_of(model, learning, WINDOW)
}

fn session_of(model: &Arc<Model>, learning: Option<usize>, window: usize) -> Session {
    let session = Session::new(model.clone(), LANES, 1, window).unwrap().sparing(SPARE).unwrap();
    match learning {
        Some(layers) => session.adaptive(layers).unwrap(),
        None => session,
    }
}

/// All distributions of a history of calls: prefill, single tokens, tokens taken back, lanes that start again, windows that
/// move.
fn history(session: &mut Session, vocabulary: usize, calls: usize) -> Vec<Vec<u32>> {
    history_of(session, vocabulary, calls, 6)
}

fn history_of(session: &mut Session, vocabulary: usize, calls: usize, seed: u64) -> Vec<Vec<u32>> {
    let (mut random, mut tables) = (TestRandom::new(seed), Vec::new());
    for call in 0..calls {
        let mut texts: Vec<(usize, Vec<u32>)> = Vec::new();
        for lane in 0..LANES {
            let count = match (call + lane) % 10 {
                0 => 14,
                4 => 0,
                7 => 2,
                _ => 1,
            };
            let mut token = |_| 5 + random.below(vocabulary as u64 - 5) as u32;
            let mut tokens: Vec<u32> = (0..count).map(&mut token).collect();
            if call > 0 && (call + 2 * lane) % 8 == 3 && count > 0 {
                session.retract(lane, 1 + call % 4);
            }
            if call == 17 && lane == 1 {
                session.reset(lane);
            }
            // More than a tile of rows, and no multiple of anything.
            if call == 0 && lane == 2 {
                tokens.extend((0..11).map(token));
            }
            if !tokens.is_empty() {
                texts.push((lane, tokens));
            }
        }
        let steps =
            texts.iter().map(|(lane, tokens)| Step { lane: *lane, tokens, from: tokens.len() / 2, open: 1 + call % 4 });
        session.advance(&steps.collect::<Vec<_>>(), &mut |_, _, table| tables.push(table.to_vec()));
    }
    tables
}

fn assert_same(config: Config, tied: bool, learning: Option<usize>, reverse: bool, calls: usize) {
    let vocabulary = config.vocabulary;
    let model = model(config, tied);
    let expected = history(&mut session(&model, learning), vocabulary, calls);
    let mut session = session(&model, learning);
    session.accelerate(emulated(&model, reverse, usize::MAX)).unwrap();
    let actual = history(&mut session, vocabulary, calls);
    assert!(session.gpu_error().is_none());
    assert_eq!(actual.len(), expected.len());
    let differs = actual.iter().zip(&expected).position(|(actual, expected)| actual != expected);
    assert_eq!(differs, None, "the first distribution that differs");
}

#[test]
fn equals_the_cpu() {
    assert_same(odd(), true, None, false, 40);
    assert_same(odd(), false, None, true, 40);
}

#[test]
fn learns_as_the_cpu_does() {
    assert_same(odd(), true, Some(0), false, 30);
    assert_same(odd(), false, Some(2), false, 40);
}

#[test]
fn heads_of_64_and_128() {
    let config = |head_dim| Config { head_dim, layers: 2, heads: 4, hidden: 64, vocabulary: 50, ..odd() };
    assert_same(config(64), true, None, false, 20);
    assert_same(config(128), true, None, true, 20);
}

#[test]
fn the_shape_of_smollm2_passes_the_probe() {
    // But for the number of layers and tokens.
    let config = Config {
        vocabulary: 3000,
        hidden: 576,
        layers: 2,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        feed_forward: 1536,
        ..odd()
    };
    prepare(Emulator::start(false, usize::MAX), &model(config, true)).unwrap();
}

#[test]
fn the_cpu_goes_on_where_the_device_is_lost() {
    let model = model(odd(), true);
    for learning in [None, Some(2)] {
        let expected = history(&mut session(&model, learning), 300, 40);
        // In a first call, in the middle of a forward pass, after windows have moved.
        for launches in [5, 500, 1400] {
            let mut session = session(&model, learning);
            session.accelerate(emulated(&model, false, launches)).unwrap();
            let actual = history(&mut session, 300, 40);
            let differs = actual.iter().zip(&expected).position(|(actual, expected)| actual != expected);
            assert_eq!(
                differs, None,
                "the first distribution that differs; {launches} launches, {learning:?} layers learn"
            );
            assert_eq!(session.gpu_error().unwrap().reason(), "the GPU is lost");
        }
    }
}

#[test]
fn the_probe_tells_a_device_that_computes_something_else() {
    let model = model(odd(), true);
    assert!(prepare(Emulator::start(false, usize::MAX), &model).is_ok());
    let error = prepare(Emulator::start(false, 100), &model).err().unwrap();
    assert_eq!(error.reason(), "the emulator is not used: the GPU is lost");
    let other = Arc::new(Model::new(random_checkpoint(odd(), true, 4), &(5..300).rev().collect::<Vec<_>>()).unwrap());
    let error = probe(&emulated(&other, false, usize::MAX), &model).unwrap_err();
    assert_eq!(error.reason(), "the emulator is not used: it does not compute what the CPU computes");
}

/// What differs from the CPU in sessions on threads of their own that share a device: for each, which layers learn, its window,
/// and why the device was given up.
fn differences(model: &Arc<Model>, replica: &Arc<Replica>) -> Vec<(Option<usize>, Option<String>)> {
    const SESSIONS: [(Option<usize>, usize); 6] =
        [(None, WINDOW), (Some(0), WINDOW), (Some(2), WINDOW), (Some(0), 24), (Some(2), 33), (Some(1), WINDOW)];
    let run = |(seed, (learning, window)): (u64, (Option<usize>, usize))| {
        let expected = history_of(&mut session_of(model, learning, window), 300, 30, seed);
        let mut session = session_of(model, learning, window);
        session.accelerate(replica.clone()).unwrap();
        let actual = history_of(&mut session, 300, 30, seed);
        assert_eq!(actual.len(), expected.len());
        let differs = actual.iter().zip(&expected).position(|(actual, expected)| actual != expected);
        (differs, session.gpu_error().map(|error| error.reason().to_owned()))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..).zip(SESSIONS).map(|session| scope.spawn(move || run(session))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn sessions_of_several_threads_share_batches() {
    let model = model(odd(), true);
    let replica = emulated(&model, false, usize::MAX);
    assert_eq!(differences(&model, &replica), vec![(None, None); 6]);
    let (jobs, batches) = replica.counts();
    assert!(batches < jobs, "{jobs} jobs in {batches} batches");
}

#[test]
fn all_threads_go_on_where_a_shared_device_is_lost() {
    let model = model(odd(), true);
    let replica = emulated(&model, false, 1000);
    assert_eq!(differences(&model, &replica), vec![(None, Some("the GPU is lost".into())); 6]);
}

#[test]
fn models_beyond_llama_are_refused() {
    let mut checkpoint = random_checkpoint(Config { head_dim: 32, ..odd() }, true, 3);
    checkpoint.config.extras.rope_divisors = vec![8.0; 16];
    let plain = Arc::new(in_opposite_order(checkpoint.clone()));
    assert!(prepare(Emulator::start(false, usize::MAX), &plain).is_ok());
    add_extras(&mut checkpoint, None);
    let error = prepare(Emulator::start(false, usize::MAX), &Arc::new(in_opposite_order(checkpoint))).err().unwrap();
    assert_eq!(error.reason(), "the GPU's kernels do not have biases");
}
