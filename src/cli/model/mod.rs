//! `nzip model`

mod check;
#[cfg(feature = "pull")]
mod hub;
mod info;
mod kept;
mod list;
mod pull;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use nzip::internals::transformer::load::locate;
use nzip::{Device, Error, ErrorKind, LanguageModel, Level};

use super::args::{CommonArgs, ModelVerb};
use super::exit::{Outcome, report};
use super::memory::for_coding;

/// The model that `--model` names.
static LOADED: OnceLock<Arc<LanguageModel>> = OnceLock::new();

/// Runs a verb of `nzip model`.
pub fn run(verb: &ModelVerb) -> Outcome {
    let text = match verb {
        ModelVerb::Info { model, json, check } => info::text(model, *json, check.as_deref()),
        ModelVerb::List { json } => Ok(list::text(*json)),
        ModelVerb::Pull { name } => pull::text(name),
    };
    match text {
        Ok(text) => super::print(&text),
        Err(error) => report(None, &error, false),
    }
}

/// The model that `--model` names. It is loaded once.
///
/// # Errors
/// See [`LanguageModel::load`], and [`ErrorKind::MemoryLimit`] if its weights exceed `-M`.
pub fn language_model(common: &CommonArgs) -> Result<Option<Arc<LanguageModel>>, Error> {
    load(common.model.as_deref(), common.device, common.memory)
}

/// The same, for compression at `level`.
///
/// # Errors
/// Also if the level doesn't use a transformer.
pub fn language_model_at(common: &CommonArgs, level: Level) -> Result<Option<Arc<LanguageModel>>> {
    load_at(common.model.as_deref(), common.device, common.memory, level)
}

/// The model at `path`, on `device`. Only the first path given to this function is loaded. The embedded model needs no
/// loading, and only a GPU that is asked for.
///
/// # Errors
/// See [`language_model`].
pub fn load(path: Option<&Path>, device: Device, memory: Option<u64>) -> Result<Option<Arc<LanguageModel>>, Error> {
    match (path, LOADED.get()) {
        (None, _) => {
            if matches!(device, Device::Cuda(_)) {
                LanguageModel::embedded()?.use_device(device)?;
            }
            Ok(None)
        }
        (_, Some(language_model)) => Ok(Some(language_model.clone())),
        (Some(path), None) => {
            let language_model = open(path, device, memory)?;
            Ok(Some(LOADED.get_or_init(|| language_model).clone()))
        }
    }
}

/// Loads the model at `path`, on `device`.
///
/// # Errors
/// See [`language_model`].
pub fn open(path: &Path, device: Device, memory: Option<u64>) -> Result<Arc<LanguageModel>, Error> {
    let limit = for_coding(memory);
    let cache = cache();
    let bytes = weight_bytes(&locate(path, cache.as_deref())?)?;
    if bytes > limit {
        let message = format!("the model's weights have {bytes} bytes; the memory limit is {limit}");
        return Err(Error::new(ErrorKind::MemoryLimit, message));
    }
    let language_model = LanguageModel::load(path, cache.as_deref())?;
    language_model.use_device(device)?;
    Ok(language_model)
}

/// The same, for compression at `level`.
///
/// # Errors
/// See [`language_model_at`].
fn load_at(
    path: Option<&Path>,
    device: Device,
    memory: Option<u64>,
    level: Level,
) -> Result<Option<Arc<LanguageModel>>> {
    // A model from the environment is for the levels that use one.
    let named = path.is_some_and(|path| env::var_os("NZIP_MODEL").is_none_or(|model| model != path));
    if named && !level.model().is_neural() {
        bail!("--model is for levels 6 to 9; the others use no transformer");
    }
    if !level.model().is_neural() {
        return Ok(None);
    }
    Ok(load(path, device, memory)?)
}

/// The model in use: the one that `--model` names, or the embedded one if it is loaded.
pub fn loaded() -> Option<Arc<LanguageModel>> {
    LOADED.get().cloned().or_else(LanguageModel::embedded_if_loaded)
}

/// The weight files of the model at `path`, in the order of their names: a GGUF file, or those of a folder.
fn weight_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "safetensors")).collect();
    files.sort();
    Ok(files)
}

/// Their length.
fn weight_bytes(path: &Path) -> Result<u64, Error> {
    let files = weight_files(path)?;
    Ok(files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum())
}

/// The cache folder of the Hugging Face tools.
pub fn cache() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("HF_HUB_CACHE").or_else(|| folder("HF_HOME").map(|home| home.join("hub"))).or_else(|| {
        let caches = folder("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))?;
        Some(caches.join("huggingface").join("hub"))
    })
}
