//! What makes one prediction of those of the experts: one or two mixers, and the final stages.

use super::bits::Part;
use crate::content::Kind;
use crate::experts::expert::{Pretrained, Setup};
use crate::experts::inputs::Inputs;
use crate::experts::language::{LanguageExpert, TRANSFORMER};
use crate::experts::match_model::MatchFinder;
use crate::mix::{CommonMode, Denoiser, FinalMixer, LearningRate, Mixer};
use crate::num::{cost, stretch_fine};
use crate::tables::Apm;

/// What selects a mixer's weight vectors: of each set, and of its last layer.
pub type Contexts = ([usize; 8], [usize; 2]);

/// The contexts that the mixer's weight sets are selected by. Those from [`MASKED_SET`] on exist only with a prior.
const SETS: [usize; 8] = [256, 256, 2048, 2048, 256, 256, 256, MatchFinder::CONFIDENCES];
/// The same of the second mixer.
const SECOND_SETS: [usize; 8] = [256, 256, 2048, 2048, 256, 256, 1024, 1024];
/// Two weight sets with one selector, the node. The second masks the inputs of a pretrained model, so the difference measures
/// what the model saves.
const FULL_SET: usize = 0;
const MASKED_SET: usize = 6;
/// Contexts of the denoiser and of the final mixer: the short match's confidence (4) and the number of known orders (5).
pub const CONFIDENCE_CLASSES: usize = 20;
/// Further ones of the final mixer, in lines of fields: how sure the guesses of a number are.
const GUESS_CLASSES: usize = 1024;

/// Bytes of memory of the second mixer of text made of fields, and of binary data where time matters less, with what it has beside.
pub const SECOND_MEMORY: u64 = 9 << 20;
pub const THOROUGH_MEMORY: u64 = 15 << 20;

/// What an encoder does without, to measure what it gains. No archive is made this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Nothing: as archives are made.
    Nothing,
    /// The denoiser.
    Denoiser,
    /// The predictions of the [`Part`] of this name.
    Part(&'static str),
}

/// What selects the final stages' parts.
#[derive(Clone, Copy)]
pub struct Places {
    /// The context of the APM, of the last byte mostly.
    pub order1: usize,
    /// The context of the final mixer.
    pub class: usize,
    /// Contexts of the APMs that x86 programs have beside it.
    pub own: Option<[usize; OWN]>,
}

/// APMs that x86 programs have beside the usual one where time matters less, and contexts of each.
pub const OWN: usize = 2;
pub const OWN_CONTEXTS: usize = 1 << 16;
/// Bytes of memory of these.
pub const OWN_MEMORY: u64 = (OWN * OWN_CONTEXTS * 64) as u64;

/// The stages after the mixer: an APM and the denoiser refine its prediction, and the final mixer weighs all three. It also hears
/// an external transformer alone, which may be better than any mixture, or an x86 program's own APMs.
#[derive(Clone)]
struct Refinement {
    apm: Apm,
    /// `None` only to measure what the denoiser gains.
    denoiser: Option<Denoiser>,
    last: Last,
    hears_transformer: bool,
}

/// The final mixer, without or with an x86 program's own APMs.
#[derive(Clone)]
enum Last {
    Usual(FinalMixer<4>),
    Own([Apm; OWN], FinalMixer<{ 3 + OWN }>),
}

impl Refinement {
    fn new(left_out: LeftOut, pretrained: Pretrained, has_own: bool) -> Self {
        let hears_transformer = pretrained == Pretrained::External && left_out != LeftOut::Part(TRANSFORMER);
        let weights = if hears_transformer { [47_000, 8_000, 0, 10_000] } else { [32_500, 32_500, 0, 0] };
        let contexts = CONFIDENCE_CLASSES + GUESS_CLASSES;
        let last = match has_own {
            true => {
                let apms = std::array::from_fn(|_| Apm::new(OWN_CONTEXTS));
                Last::Own(apms, FinalMixer::new(contexts, [16_250, 16_250, 0, 16_250, 16_250], 5))
            }
            false => Last::Usual(FinalMixer::new(contexts, weights, 5)),
        };
        Refinement {
            apm: Apm::new(1 << 16),
            denoiser: (left_out != LeftOut::Denoiser).then(|| Denoiser::new(CONFIDENCE_CLASSES)),
            last,
            hears_transformer,
        }
    }

    /// Refines the mixer's prediction. It, the transformer's and the result are in the logistic domain.
    #[inline]
    fn refine(&mut self, [mixed, transformer]: [i32; 2], Places { order1, class, own }: Places) -> i32 {
        let correction = self.denoiser.as_mut().map_or(0, |denoiser| denoiser.correction(mixed));
        let refined = stretch_fine(self.apm.refine(mixed, order1));
        match &mut self.last {
            Last::Usual(mixer) => {
                let transformer = if self.hears_transformer { transformer } else { 0 };
                mixer.mix([mixed, refined, correction, transformer], class)
            }
            Last::Own(apms, mixer) => {
                let mut inputs = [mixed, refined, correction, 0, 0];
                for (input, (apm, context)) in
                    inputs[3..].iter_mut().zip(apms.iter_mut().zip(own.into_iter().flatten()))
                {
                    *input = stretch_fine(apm.refine(mixed, context));
                }
                mixer.mix(inputs, class)
            }
        }
    }

    #[inline]
    fn update(&mut self, bit: u32) {
        if let Some(denoiser) = &mut self.denoiser {
            denoiser.update(bit);
        }
        match &mut self.last {
            Last::Usual(mixer) => mixer.update(bit),
            Last::Own(apms, mixer) => {
                mixer.update(bit);
                apms.iter_mut().for_each(|apm| apm.update(bit));
            }
        }
        self.apm.update(bit);
    }
}

/// The mixers and the final stages.
#[derive(Clone)]
pub struct Mixing {
    mixer: Mixer,
    /// Another mixer of the same inputs, with weights that other things select, and whether it took part in the last prediction.
    second: Option<Mixer>,
    second_mixes: bool,
    /// What the inputs have in common, where time matters less.
    common_mode: Option<CommonMode>,
    refinement: Refinement,
    /// What a second mixer is made of: weights at first, inputs that it does without, how fast it learns.
    weights: Vec<i32>,
    left_out: Vec<Part>,
    rate: LearningRate,
    /// Whether the mixer has [`MASKED_SET`].
    has_masked_set: bool,
}

impl Mixing {
    /// Mixing of inputs with these weights at first, which `parts` belong to.
    pub fn new(setup: &Setup, weights: Vec<i32>, parts: &[Part], left_out: LeftOut) -> Self {
        let pretrained = setup.pretrained();
        let has_masked_set = pretrained != Pretrained::None;
        let rate = match pretrained {
            _ if setup.content == Kind::Workbook && setup.thorough => LearningRate::calm(),
            _ if setup.sparse || matches!(setup.content, Kind::Font | Kind::Class | Kind::Database) => {
                LearningRate::lively()
            }
            Pretrained::External => LearningRate::slow(),
            _ => LearningRate::default(),
        };
        let sets = if has_masked_set { &SETS[..] } else { &SETS[..MASKED_SET] };
        let mut mixer = Mixer::new(&weights, sets, [256, 16]).with_rate(rate.clone());
        if has_masked_set {
            mixer = mixer.with_bounded_steps();
        }
        if has_masked_set {
            mixer.mask(MASKED_SET, LanguageExpert::measured_inputs(pretrained));
        }
        let left_out_parts: Vec<Part> =
            parts.iter().filter(|part| left_out == LeftOut::Part(part.name)).cloned().collect();
        left_out_parts.iter().for_each(|part| mixer.leave_out(&part.inputs));
        let mut mixing = Mixing {
            mixer,
            second: None,
            second_mixes: false,
            common_mode: setup.thorough.then(|| CommonMode::new(weights.len())),
            refinement: Refinement::new(left_out, pretrained, setup.thorough && setup.content == Kind::Code),
            weights,
            left_out: left_out_parts,
            rate,
            has_masked_set,
        };
        if setup.thorough {
            // Code changes from function to function.
            let rate = if setup.content == Kind::Code { LearningRate::lively() } else { LearningRate::calm() };
            mixing.second = Some(mixing.new_second().with_rate(rate));
        }
        mixing
    }

    /// A second mixer that has seen nothing.
    fn new_second(&self) -> Mixer {
        let mixer = Mixer::new(&self.weights, &SECOND_SETS, [256, 256]).with_rate(self.rate.clone());
        let mut mixer = mixer.with_bounded_steps();
        self.left_out.iter().for_each(|part| mixer.leave_out(&part.inputs));
        mixer
    }

    /// Whether there is a pretrained model.
    #[inline]
    pub fn is_primed(&self) -> bool {
        self.has_masked_set
    }

    /// Whether there is a second mixer.
    #[inline]
    pub fn has_second(&self) -> bool {
        self.second.is_some()
    }

    /// Prefetches what the final stages need.
    #[inline]
    pub fn prefetch(&mut self, Places { order1, class, own }: Places, node: usize) {
        self.refinement.apm.prefetch(order1);
        if let Last::Own(apms, _) = &self.refinement.last {
            apms.iter().zip(own.into_iter().flatten()).for_each(|(apm, context)| apm.prefetch(context));
        }
        if let Some(denoiser) = &mut self.refinement.denoiser {
            denoiser.select(node, class);
        }
    }

    /// Selects the mixer's weight vectors.
    #[inline]
    pub fn select(&mut self, (contexts, last): Contexts) {
        self.mixer.select(contexts, last);
    }

    /// The prediction, in the logistic domain. A second mixer takes part, if there are contexts for it, and is made if need be. The
    /// transformer's prediction is heard beside.
    #[inline]
    pub fn predict(&mut self, inputs: &Inputs, second: Option<Contexts>, transformer: i32, places: Places) -> i32 {
        let mut mixed = self.mixer.mix(inputs);
        self.second_mixes = second.is_some();
        if let Some((contexts, last)) = second {
            if self.second.is_none() {
                self.second = Some(self.new_second());
            }
            if let Some(second) = &mut self.second {
                second.select(contexts, last);
                mixed = (mixed + second.mix(inputs)) >> 1;
            }
        }
        self.refinement.refine([mixed, transformer], places)
    }

    /// What the pretrained model saves of the bit, in units of 1/256 bit; none without one.
    #[inline]
    pub fn saved(&self, bit: u32) -> Option<i64> {
        self.has_masked_set.then(|| {
            let [masked, full] = [MASKED_SET, FULL_SET].map(|set| i64::from(cost(self.mixer.prediction(set), bit)));
            masked - full
        })
    }

    /// Learns the bit.
    #[inline]
    pub fn learn(&mut self, inputs: &Inputs, bit: u32) {
        let second = self.second.as_mut().filter(|_| self.second_mixes);
        if let Some(common_mode) = &mut self.common_mode {
            let step = common_mode.step(inputs);
            self.mixer.update_by(step, bit);
            second.into_iter().for_each(|second| second.update_by(step, bit));
        } else {
            self.mixer.update(inputs, bit);
            second.into_iter().for_each(|second| second.update(inputs, bit));
        }
        self.refinement.update(bit);
    }

    /// What a part's inputs contribute to the mixed prediction: see [`super::bits::Insight::contribution`].
    pub fn contribution(&self, inputs: &Inputs, part: &Part) -> i64 {
        let first = self.mixer.contribution(inputs, &part.inputs);
        let Some(second) = self.second.as_ref().filter(|_| self.second_mixes) else { return first };
        (first + second.contribution(inputs, &part.inputs)) >> 1
    }
}
