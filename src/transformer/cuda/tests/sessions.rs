//! Whole sessions on the emulator: the distributions must be the CPU's, bit for bit.

use std::sync::Arc;

use super::super::weights::Weights;
use super::emulator::Emulator;
use crate::test_random::TestRandom;
use crate::transformer::checkpoint::Config;
use crate::transformer::gpu::{prepare, probe};
use crate::transformer::tests::fixtures::random_checkpoint;
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
    }
}

fn model(config: Config, tied: bool) -> Arc<Model> {
    let order: Vec<u32> = (5..config.vocabulary as u32).rev().collect();
    Arc::new(Model::new(random_checkpoint(config, tied, 3), &order).unwrap())
}

fn emulated(model: &Model, reverse: bool, launches: usize) -> Arc<Weights> {
    Arc::new(Weights::new(Emulator::start(reverse, launches), model).unwrap())
}

fn session(model: &Arc<Model>, learning: Option<usize>) -> Session {
    let session = Session::new(model.clone(), LANES, 1, WINDOW).unwrap().sparing(SPARE).unwrap();
    match learning {
        Some(layers) => session.adaptive(layers).unwrap(),
        None => session,
    }
}

/// All distributions of a history of calls: prefill, single tokens, tokens taken back, lanes that start again, windows that
/// move.
fn history(session: &mut Session, vocabulary: usize, calls: usize) -> Vec<Vec<u32>> {
    let (mut random, mut tables) = (TestRandom::new(6), Vec::new());
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
            let tokens: Vec<u32> = (0..count).map(&mut token).collect();
            if call > 0 && (call + 2 * lane) % 8 == 3 && count > 0 {
                session.retract(lane, 1 + call % 4);
            }
            if call == 17 && lane == 1 {
                session.reset(lane);
            }
            if count > 0 {
                texts.push((lane, tokens));
            }
        }
        let steps = texts.iter().map(|(lane, tokens)| Step { lane: *lane, tokens, from: tokens.len() / 2, open: 1 });
        session.advance(&steps.collect::<Vec<_>>(), &mut |_, _, table| tables.push(table.clone()));
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
