//! The engine as a whole: digests for all kernels, batch sizes and threads; windows, retraction, learning.

pub mod fixtures;
mod reference;

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::checkpoint::{BLOCK, Checkpoint, Config, Extras, Layer, LayerExtras, Matrix};
use super::{Backend, Model, Session, Step};
use crate::error::ErrorKind;
use crate::num::arch::float::FloatKernels;
use crate::num::arch::int8::Kernel;

/// The digest of all distributions of [`texts`] with [`checkpoint`]. It may change with `ARITHMETIC_VERSION` only.
const DIGEST: u64 = 8207810484489214568;
/// The same with an adaptive head and two adaptive layers, one token a call.
const ADAPTED: u64 = 7693159552640665332;

/// The first of these digests for a model that has all that no Llama has.
const BEYOND: u64 = 8596947357131628933;

/// The generator behind [`DIGEST`] and [`ADAPTED`], kept so that they stay comparable; other tests use `TestRandom`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        let quants = (0..rows * columns).map(|_| (self.next() % 255) as u8 as i8).collect();
        let scales = (0..rows * columns / BLOCK).map(|_| (1 + self.next() % 64) as f32 / 32768.0).collect();
        Matrix { rows, columns, quants, scales }
    }

    fn norm(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (64 + self.next() % 128) as f32 / 128.0).collect()
    }
}

/// A model with random weights. Heads of 24 elements and a feed-forward size of 80 need padding.
fn checkpoint(tied: bool) -> Checkpoint {
    let mut random = Random(11);
    let config = Config {
        vocabulary: 300,
        hidden: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 24,
        feed_forward: 80,
        norm_eps: 1e-5,
        rope_theta: 10000.0,
        context: 64,
        extras: Extras::default(),
    };
    let layers = (0..2).map(|_| Layer {
        attention_norm: random.norm(64),
        q: random.matrix(96, 64),
        k: random.matrix(48, 64),
        v: random.matrix(48, 64),
        o: random.matrix(64, 96),
        feed_forward_norm: random.norm(64),
        gate: random.matrix(80, 64),
        up: random.matrix(80, 64),
        down: random.matrix(64, 96),
        extras: LayerExtras::default(),
    });
    Checkpoint {
        layers: layers.collect(),
        embedding: random.matrix(300, 64),
        head: (!tied).then(|| random.matrix(300, 64)),
        norm: random.norm(64),
        tokens: (0..300).map(|i| if i < 5 { Vec::new() } else { vec![i as u8, (i >> 8) as u8] }).collect(),
        start: 1,
        separator: 1,
        config,
    }
}

/// The tokens that have bytes, in another order than that of their ids.
fn order() -> Vec<u32> {
    (5..300).rev().collect()
}

fn model(tied: bool, kernel: Kernel, floats: FloatKernels) -> Arc<Model> {
    Arc::new(Model::with_kernels(checkpoint(tied), &order(), kernel, floats).unwrap())
}

fn fastest(tied: bool) -> Arc<Model> {
    model(tied, Kernel::detect(), FloatKernels::detect())
}

/// Three texts of 101, 38 and 151 tokens.
fn texts() -> Vec<Vec<u32>> {
    let mut random = Random(5);
    [100, 37, 150]
        .iter()
        .map(|&len| std::iter::once(1).chain((0..len).map(|_| 5 + random.next() % 295)).collect())
        .collect()
}

/// The digest of all distributions of the texts, one lane each, `chunk` tokens a call.
fn digest(model: &Arc<Model>, threads: usize, chunk: usize) -> u64 {
    digest_of(Session::new(model.clone(), 3, threads, 40).unwrap(), chunk)
}

fn digest_of(mut session: Session, chunk: usize) -> u64 {
    let texts = texts();
    let mut tables: Vec<Xxh3> = texts.iter().map(|_| Xxh3::new()).collect();
    for start in (0..200).step_by(chunk) {
        let part = |text: &'_ [u32]| start.min(text.len())..(start + chunk).min(text.len());
        let steps: Vec<Step<'_>> = texts
            .iter()
            .enumerate()
            .map(|(lane, text)| Step { lane, tokens: &text[part(text)], from: 0, open: 1 })
            .collect();
        let mut seen = vec![0; texts.len()];
        session.advance(&steps, &mut |step, token, table| {
            assert_eq!(seen[step], token);
            seen[step] += 1;
            assert!(table.len() == 296 && table[0] == 0 && table.is_sorted_by(|a, b| a < b) && table[295] < 1 << 31);
            table.iter().for_each(|entry| tables[step].update(&entry.to_le_bytes()));
        });
    }
    let mut all = Xxh3::new();
    tables.iter().for_each(|table| all.update(&table.digest().to_le_bytes()));
    all.digest()
}

#[test]
fn every_kernel_gives_the_same_distributions() {
    for kernel in Kernel::all() {
        for floats in FloatKernels::all() {
            assert_eq!(digest(&model(true, kernel, floats), 1, 7), DIGEST, "{}", kernel.name);
        }
    }
}

/// All that no Llama has: the same with every kernel, several tokens at once or one, and on several threads.
#[test]
fn models_beyond_llama_give_the_same_distributions() {
    let beyond = |kernel, floats| {
        let mut checkpoint = checkpoint(true);
        checkpoint.config.head_dim = 16;
        let mut random = Random(12);
        for layer in &mut checkpoint.layers {
            layer.q = random.matrix(64, 64);
            layer.k = random.matrix(32, 64);
            layer.v = random.matrix(32, 64);
            layer.o = random.matrix(64, 64);
        }
        fixtures::add_extras(&mut checkpoint, Some(300.0));
        Arc::new(Model::with_kernels(checkpoint, &order(), kernel, floats).unwrap())
    };
    for kernel in Kernel::all() {
        for floats in FloatKernels::all() {
            assert_eq!(digest(&beyond(kernel, floats), 1, 7), BEYOND, "{}", kernel.name);
        }
    }
    let fastest = beyond(Kernel::detect(), FloatKernels::detect());
    assert_eq!(digest(&fastest, 3, 1), BEYOND);
    let adapted = |threads| digest_of(Session::new(fastest.clone(), 3, threads, 40).unwrap().adaptive(2).unwrap(), 1);
    assert_eq!(adapted(1), adapted(2));
    assert_ne!(adapted(1), BEYOND);
}

#[test]
fn batches_and_threads_change_nothing() {
    let model = fastest(true);
    for chunk in [1, 2, 39, 64, 200] {
        assert_eq!(digest(&model, 1, chunk), DIGEST, "{chunk} tokens at once");
    }
    for threads in 2..=4 {
        assert_eq!(digest(&model, threads, 1), DIGEST, "{threads} threads");
        assert_eq!(digest(&model, threads, 50), DIGEST, "{threads} threads, 50 tokens at once");
    }
}

#[test]
fn adaptive_layers_are_the_same_for_all_kernels_and_threads() {
    let adapted =
        |model: Arc<Model>, threads| digest_of(Session::new(model, 3, threads, 40).unwrap().adaptive(2).unwrap(), 1);
    for kernel in Kernel::all() {
        for floats in FloatKernels::all() {
            assert_eq!(adapted(model(true, kernel, floats), 1), ADAPTED, "{}", kernel.name);
        }
    }
    for threads in 2..=4 {
        assert_eq!(adapted(fastest(true), threads), ADAPTED, "{threads} threads");
    }
}

#[test]
fn adaptive_layers_learn_repetitions() {
    for tied in [true, false] {
        let costs = [None, Some(0), Some(2)].map(|adaptive| {
            let mut session = Session::new(fastest(tied), 1, 1, 40).unwrap();
            if let Some(layers) = adaptive {
                session = session.adaptive(layers).unwrap();
            }
            let text: Vec<u32> = std::iter::once(1).chain((0..400).map(|i| 20 + i * i % 7)).collect();
            let mut cost = 0.0;
            for pair in text.windows(2) {
                session.advance(&[Step { lane: 0, tokens: &pair[..1], from: 0, open: 1 }], &mut |_, _, totals| {
                    let output = order().iter().position(|&token| token == pair[1]).unwrap();
                    let mass = totals[output + 1] - totals[output];
                    cost -= (f64::from(mass) / f64::from(totals[totals.len() - 1])).log2();
                });
            }
            cost
        });
        assert!(costs[1] < 0.7 * costs[0] && costs[2] < 0.997 * costs[1], "{costs:?}");
    }
}

#[test]
fn an_untied_head_is_used() {
    let model = fastest(false);
    assert_ne!(digest(&model, 1, 50), DIGEST);
    assert_eq!(digest(&model, 1, 50), digest(&model, 1, 1));
}

#[test]
fn retracted_tokens_leave_no_trace() {
    compare_with_retractions(2, 1, |session| session);
    compare_with_retractions(9, 1, |session| session.sparing(8).unwrap());
}

#[test]
fn retracted_tokens_are_not_learned() {
    compare_with_retractions(1, 1, |session| session.adaptive(2).unwrap());
    compare_with_retractions(5, 9, |session| session.sparing(8).unwrap().adaptive(2).unwrap());
}

/// Two sessions agree if one of them appends and retracts up to `most` wrong tokens before each right one. Of either the last `open`
/// tokens can be retracted.
fn compare_with_retractions(most: usize, open: usize, make: fn(Session) -> Session) {
    let text = &texts()[2];
    let mut sessions = [(); 2].map(|()| make(Session::new(fastest(true), 1, 1, 40).unwrap()));
    let last = |session: &mut Session, token: u32, open: usize| {
        let mut last = Vec::new();
        session.advance(&[Step { lane: 0, tokens: &[token], from: 0, open }], &mut |_, _, table| last = table.to_vec());
        last
    };
    for (i, token) in text.iter().enumerate() {
        let [plain, misled] = &mut sessions;
        let wrong: Vec<u32> = (0..i % (most + 1)).map(|number| [7, 9][i % 2] + number as u32).collect();
        // A wrong token makes none of those before it certain.
        wrong.iter().for_each(|&wrong| drop(last(misled, wrong, usize::MAX)));
        misled.retract(0, wrong.len());
        assert!(last(plain, *token, open) == last(misled, *token, open), "token {i}");
    }
}

#[test]
fn the_window_keeps_the_first_token_and_the_newest() {
    let (model, text) = (fastest(true), &texts()[2]);
    let last = |text: &[u32], window: usize| {
        let mut session = Session::new(model.clone(), 1, 1, window).unwrap();
        let mut tables = 0;
        let mut last = Vec::new();
        session.advance(&[Step { lane: 0, tokens: text, from: text.len() - 1, open: 1 }], &mut |_, token, table| {
            assert_eq!(token + 1, text.len());
            tables += 1;
            last = table.to_vec();
        });
        assert_eq!(tables, 1);
        last
    };
    // The window of 40 holds 39 tokens.
    assert!(last(&text[..39], 40) == last(&text[..39], 90));
    assert!(last(&text[..40], 40) != last(&text[..40], 90));
    // A window of a window: with two layers, tokens more than two windows back have no influence. The first one does.
    let changed = |first: u32, skipped: usize| {
        let filling = std::iter::repeat_n(text[5], skipped);
        [first].into_iter().chain(filling).chain(text[1 + skipped..].iter().copied()).collect::<Vec<u32>>()
    };
    assert!(last(text, 40) == last(&changed(text[0], text.len() - 2 * 39), 40));
    assert!(last(text, 40) != last(&changed(text[0], text.len() - 30), 40));
    assert!(last(text, 40) != last(&changed(9, 0), 40));
}

#[test]
#[should_panic(expected = "lost")]
fn a_third_token_retracted_from_a_full_window_panics() {
    let mut session = Session::new(fastest(true), 1, 1, 40).unwrap();
    session.advance(&[Step { lane: 0, tokens: &texts()[0], from: 0, open: 1 }], &mut |_, _, _| ());
    session.retract(0, 3);
}

#[test]
fn a_reset_lane_starts_anew() {
    let (model, texts) = (fastest(true), texts());
    let mut session = Session::new(model, 2, 1, 40).unwrap();
    let mut tables = Vec::new();
    for text in [&texts[0], &texts[1], &texts[0]] {
        session.reset(1);
        let mut last = Vec::new();
        session.advance(&[Step { lane: 1, tokens: &text[..30], from: 0, open: 1 }], &mut |_, _, table| {
            last = table.to_vec()
        });
        tables.push(last);
    }
    assert!(tables[0] == tables[2] && tables[0] != tables[1]);
}

#[test]
fn invalid_models_are_refused() {
    let kind = |change: &dyn Fn(&mut Checkpoint), order: &[u32]| {
        let mut checkpoint = checkpoint(true);
        change(&mut checkpoint);
        Model::new(checkpoint, order).err().map(|error| error.kind())
    };
    assert_eq!(kind(&|_| (), &order()), None);
    assert_eq!(kind(&|_| (), &[]), Some(ErrorKind::Usage));
    assert_eq!(kind(&|_| (), &[7, 8, 7]), Some(ErrorKind::Usage));
    assert_eq!(kind(&|_| (), &[300]), Some(ErrorKind::Usage));
    let changes: [&dyn Fn(&mut Checkpoint); 7] = [
        &|c| c.config.kv_heads = 3,
        &|c| c.config.hidden = 0,
        &|c| c.start = 300,
        &|c| c.layers[1].k.rows = 24,
        &|c| c.layers[1].down.scales[3] = f32::NAN,
        &|c| c.norm[0] = f32::INFINITY,
        &|c| c.embedding.quants.truncate(9),
    ];
    for (i, change) in changes.iter().enumerate() {
        assert_eq!(kind(change, &order()), Some(ErrorKind::Model), "change {i}");
    }
}
