//! Locates a model: a directory, a GGUF file, or a name in the Hugging Face cache.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::weights::Form;
use super::{gguf, huggingface, wrong};
use crate::error::Error;
use crate::transformer::checkpoint::Checkpoint;

/// A model's name on Hugging Face: ORG/NAME, or ORG/NAME/FILE.gguf for one file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// ORG/NAME.
    pub repository: String,
    /// The file, if one is named.
    pub file: Option<String>,
}

impl Name {
    /// Parses a name; `None` if `text` is not one.
    pub fn parse(text: &str) -> Option<Name> {
        let fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let parts: Vec<&str> = text.split('/').collect();
        let plain = parts.iter().all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(fit));
        match *parts {
            [org, name] if plain => Some(Name { repository: format!("{org}/{name}"), file: None }),
            [org, name, file] if plain && file.ends_with(".gguf") => {
                Some(Name { repository: format!("{org}/{name}"), file: Some(file.to_owned()) })
            }
            _ => None,
        }
    }
}

/// A model in the Hugging Face cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The name that [`load`] takes.
    pub name: String,
    /// Its directory or GGUF file.
    pub path: PathBuf,
    /// Total length of its weight files, in bytes.
    pub bytes: u64,
}

/// Loads the model `model`: a directory, a GGUF file, or a name in `cache`, a Hugging Face cache folder ("hub").
///
/// # Errors
/// As [`super::from_directory`] and [`super::from_gguf`]; [`ErrorKind::Model`](crate::ErrorKind::Model) if there is no such model, with a message
/// that says where nzip looked.
pub fn load(model: &Path, cache: Option<&Path>) -> Result<Checkpoint, Error> {
    load_in(model, cache)
}

/// The same with matrices of any form.
///
/// # Errors
/// As [`load`].
pub fn load_in<M: Form>(model: &Path, cache: Option<&Path>) -> Result<Checkpoint<M>, Error> {
    let path = locate(model, cache)?;
    if path.is_dir() {
        return huggingface::load(&path);
    }
    let place = path.display().to_string();
    // Opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(wrong(place, "is neither a folder nor a regular file"));
    }
    let file = File::open(&path).map_err(|error| std::io::Error::new(error.kind(), format!("{place}: {error}")))?;
    gguf::load(&mut BufReader::new(file), &place)
}

/// The directory or GGUF file of the model `model`.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) if there is none.
pub fn locate(model: &Path, cache: Option<&Path>) -> Result<PathBuf, Error> {
    if model.exists() {
        return Ok(model.to_owned());
    }
    let place = &model.display();
    let Some(name) = model.to_str().and_then(Name::parse) else {
        return Err(wrong(place, "there is no such directory or file"));
    };
    let Some(cache) = cache else {
        return Err(wrong(place, "there is no such directory, and no Hugging Face cache"));
    };
    let Some(snapshot) = snapshot(&folder(cache, &name.repository)) else {
        return Err(wrong(
            place,
            format!(
                "there is no model of this name, neither a directory nor in the cache {}; `nzip model pull {place}` \
                 fetches it",
                cache.display()
            ),
        ));
    };
    match name.file.map(|file| snapshot.join(file)) {
        Some(file) if file.exists() => return Ok(file),
        Some(file) => return Err(wrong(file.display(), "is missing")),
        None => (),
    }
    match &ggufs(&snapshot)[..] {
        _ if snapshot.join("config.json").exists() => Ok(snapshot),
        [only] => Ok(snapshot.join(only)),
        [] => Err(wrong(snapshot.display(), "contains neither a config.json nor a GGUF file")),
        several => {
            Err(wrong(place, format!("has several files; name one of them, such as {place}/{}", several.join(", "))))
        }
    }
}

/// All models in `cache`, sorted by name.
pub fn cached(cache: &Path) -> Vec<Cached> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let repositories = entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_prefix("models--")?.replacen("--", "/", 1);
        Some((name, snapshot(&entry.path())?))
    });
    let mut models = Vec::new();
    for (name, snapshot) in repositories {
        if snapshot.join("config.json").exists() {
            let weights = files(&snapshot).into_iter().filter(|file| file.ends_with(".safetensors"));
            let bytes = weights.map(|file| length(&snapshot.join(file))).sum();
            models.push(Cached { name, bytes, path: snapshot });
            continue;
        }
        models.extend(ggufs(&snapshot).into_iter().map(|file| {
            let path = snapshot.join(&file);
            Cached { name: format!("{name}/{file}"), bytes: length(&path), path }
        }));
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

fn folder(cache: &Path, repository: &str) -> PathBuf {
    cache.join(format!("models--{}", repository.replace('/', "--")))
}

/// The snapshot of a repository's main branch, or else any other snapshot.
fn snapshot(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.join("snapshots");
    let main = fs::read_to_string(folder.join("refs/main")).ok().map(|commit| snapshots.join(commit.trim()));
    main.filter(|path| path.is_dir()).or_else(|| {
        let all = fs::read_dir(&snapshots).ok()?.flatten().map(|entry| entry.path());
        all.filter(|path| path.is_dir()).max()
    })
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn ggufs(directory: &Path) -> Vec<String> {
    files(directory).into_iter().filter(|name| name.ends_with(".gguf")).collect()
}

/// The length of a file; files of a snapshot are links, which are followed.
fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &Path, file: &str) {
        let path = cache.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text").unwrap();
    }

    #[test]
    fn names_are_those_of_hugging_face() {
        let name = Name::parse("HuggingFaceTB/SmolLM2-135M").unwrap();
        assert_eq!((name.repository.as_str(), name.file), ("HuggingFaceTB/SmolLM2-135M", None));
        assert_eq!(Name::parse("a/b/c.gguf").unwrap().file.unwrap(), "c.gguf");
        let none = ["", "a", "a/", "/a", "../a", "a/..", "a/b/c", "a/b/c/d.gguf", "a/b c", "./a"];
        assert!(none.into_iter().all(|text| Name::parse(text).is_none()));
    }

    #[test]
    fn models_are_found_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path();
        put(cache, "models--org--one/snapshots/b/config.json");
        put(cache, "models--org--one/snapshots/b/model.safetensors");
        put(cache, "models--org--one/snapshots/c/config.json");
        put(cache, "models--org--one/refs/main");
        fs::write(cache.join("models--org--one/refs/main"), "b\n").unwrap();
        put(cache, "models--org--two/snapshots/a/x.gguf");
        put(cache, "models--org--two/snapshots/a/y.gguf");
        put(cache, "models--org--three/snapshots/a/x.gguf");
        put(cache, "models--org--four/snapshots/a/README.md");
        put(cache, "datasets--org--five/snapshots/a/config.json");
        let found = |name: &str| locate(Path::new(name), Some(cache)).map_err(|error| error.to_string());
        let at = |path: &str| Ok(cache.join(path));
        assert_eq!(found("org/one"), at("models--org--one/snapshots/b"));
        assert_eq!(found("org/two/y.gguf"), at("models--org--two/snapshots/a/y.gguf"));
        assert_eq!(found("org/three"), at("models--org--three/snapshots/a/x.gguf"));
        let refused = [
            ("org/two", "name one of them, such as org/two/x.gguf, y.gguf"),
            ("org/two/z.gguf", "z.gguf: is missing"),
            ("org/four", "contains neither a config.json nor a GGUF file"),
            ("org/six", "`nzip model pull org/six` fetches it"),
            ("nowhere", "nowhere: there is no such directory or file"),
        ];
        for (name, what) in refused {
            let error = found(name).unwrap_err();
            assert!(error.contains(what), "{error} does not say {what}");
        }
        assert!(locate(Path::new("org/one"), None).unwrap_err().to_string().contains("no Hugging Face cache"));
        assert_eq!(locate(cache, None).unwrap(), cache);
        let names: Vec<_> = cached(cache).into_iter().map(|model| (model.name, model.bytes)).collect();
        let expected = [("org/one", 4), ("org/three/x.gguf", 4), ("org/two/x.gguf", 4), ("org/two/y.gguf", 4)];
        assert_eq!(names, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
        assert_eq!(cached(Path::new("nowhere")), []);
    }
}
