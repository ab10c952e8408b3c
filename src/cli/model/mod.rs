//! `nzip model`

mod info;
mod list;
mod pull;

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use nzip::{Error, LanguageModel, Level};

use super::args::{CommonArgs, ModelVerb};
use super::exit::{Outcome, report};

/// Runs a verb of `nzip model`.
pub fn run(verb: &ModelVerb) -> Outcome {
    let text = match verb {
        ModelVerb::Info { model, json } => info::text(model, *json),
        ModelVerb::List { json } => Ok(list::text(*json)),
        ModelVerb::Pull { name } => pull::text(name),
    };
    match text {
        Ok(text) => super::print(&text),
        Err(error) => report(None, &error, false),
    }
}

/// The network that `--model` names. It is loaded once.
///
/// # Errors
/// See [`LanguageModel::load`].
pub fn language_model(common: &CommonArgs) -> Result<Option<Arc<LanguageModel>>, Error> {
    static LOADED: OnceLock<Arc<LanguageModel>> = OnceLock::new();
    match (&common.model, LOADED.get()) {
        (None, _) => Ok(None),
        (_, Some(language_model)) => Ok(Some(language_model.clone())),
        (Some(path), None) => {
            let language_model = LanguageModel::load(path, cache().as_deref())?;
            Ok(Some(LOADED.get_or_init(|| language_model).clone()))
        }
    }
}

/// The same, for compression at `level`.
///
/// # Errors
/// Also if the level doesn't use a transformer.
pub fn language_model_at(common: &CommonArgs, level: Level) -> Result<Option<Arc<LanguageModel>>> {
    if common.model.is_some() && !level.model().is_neural() {
        bail!("levels 1 to 5 ask no transformer; leave --model out, or choose a level from 6 on");
    }
    Ok(language_model(common)?)
}

/// The cache folder of the Hugging Face tools.
pub fn cache() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("HF_HUB_CACHE").or_else(|| folder("HF_HOME").map(|home| home.join("hub"))).or_else(|| {
        let caches = folder("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))?;
        Some(caches.join("huggingface").join("hub"))
    })
}
