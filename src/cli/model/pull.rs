//! `nzip model pull`

use anyhow::{Result, bail};
use nzip::internals::transformer::load::Name;

/// Downloads the model into the cache and returns its path.
pub fn text(name: &str) -> Result<String> {
    match Name::parse(name) {
        Some(parsed) => fetch(name, &parsed),
        None => bail!("{name} is no model's name; those are ORG/NAME, or ORG/NAME/FILE.gguf"),
    }
}

/// Instructions for a manual download.
fn by_hand(name: &Name) -> String {
    let url = format!("https://huggingface.co/{}", name.repository);
    match &name.file {
        Some(file) => format!("fetch {url}/resolve/main/{file} and name the file in the model's place"),
        None => format!(
            "fetch config.json, tokenizer.json and model.safetensors from {url}/resolve/main/ into a folder and name the \
             folder in the model's place"
        ),
    }
}

#[cfg(not(feature = "pull"))]
fn fetch(name: &str, parsed: &Name) -> Result<String> {
    bail!("{name}: this nzip was built without downloads (feature `pull`); {}", by_hand(parsed))
}

#[cfg(feature = "pull")]
fn fetch(name: &str, parsed: &Name) -> Result<String> {
    use anyhow::Context;
    use hf_hub::api::sync::ApiBuilder;

    let cache = super::cache().context("there is no folder for models; set HF_HOME")?;
    let fetched = || -> Result<()> {
        let api = ApiBuilder::new().with_cache_dir(cache.clone()).with_progress(true).build()?;
        let repository = api.model(parsed.repository.clone());
        let files = match &parsed.file {
            Some(file) => vec![file.clone()],
            None => needed(repository.info()?.siblings.into_iter().map(|file| file.rfilename).collect()),
        };
        files.iter().try_for_each(|file| repository.get(file).map(drop))?;
        Ok(())
    };
    fetched().with_context(|| format!("{name} can't be fetched; {}", by_hand(parsed)))?;
    let path = nzip::internals::transformer::load::locate(name.as_ref(), Some(&cache))?;
    Ok(format!("{}\n", path.display()))
}

/// The files that make up the model: those of a Hugging Face folder, or all GGUF files.
#[cfg(feature = "pull")]
fn needed(files: Vec<String>) -> Vec<String> {
    let sharded = files.iter().any(|file| file == "model.safetensors.index.json");
    let wanted = |file: &String| match file.as_str() {
        "config.json" | "tokenizer.json" | "model.safetensors" | "model.safetensors.index.json" => true,
        file => sharded && file.starts_with("model-") && file.ends_with(".safetensors"),
    };
    let directory: Vec<_> = files.iter().filter(|file| wanted(file)).cloned().collect();
    match directory.iter().any(|file| file == "config.json") && directory.len() > 2 {
        true => directory,
        false => files.into_iter().filter(|file| file.ends_with(".gguf")).collect(),
    }
}
