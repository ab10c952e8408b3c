//! nzip for Python: the native part of the package `nzip`. See nzip/__init__.py.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use nzip::{CompressOptions, Compressor, DecompressOptions, Decompressor, Error, ErrorKind, Level};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pyo3::create_exception!(nzip, NzipError, PyValueError, "An archive is damaged, truncated, foreign, or beyond a limit.");

fn raise(error: Error) -> PyErr {
    match error.kind() {
        ErrorKind::Io => PyOSError::new_err(error.to_string()),
        ErrorKind::Usage => PyValueError::new_err(error.to_string()),
        _ => NzipError::new_err(error.to_string()),
    }
}

fn compression(level: u8, threads: usize) -> Result<CompressOptions, Error> {
    Ok(CompressOptions::new().level(Level::new(level)?).threads(threads))
}

fn decompression(max_output: Option<u64>, threads: usize) -> DecompressOptions {
    let options = DecompressOptions::new().threads(threads);
    max_output.into_iter().fold(options, DecompressOptions::max_output)
}

/// Compresses bytes to an archive.
#[pyfunction]
#[pyo3(signature = (content, *, level = 6, threads = 0))]
fn compress<'py>(py: Python<'py>, content: &[u8], level: u8, threads: usize) -> PyResult<Bound<'py, PyBytes>> {
    let made = py.detach(|| nzip::compress_with(content, compression(level, threads)?));
    Ok(PyBytes::new(py, &made.map_err(raise)?))
}

/// Decompresses an archive. Without `max_output`, content longer than 1 GiB and than 256 times the archive is an error.
#[pyfunction]
#[pyo3(signature = (archive, *, max_output = None, threads = 0))]
fn decompress<'py>(
    py: Python<'py>,
    archive: &[u8],
    max_output: Option<u64>,
    threads: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let made = py.detach(|| nzip::decompress_with(archive, decompression(max_output, threads)));
    Ok(PyBytes::new(py, &made.map_err(raise)?))
}

/// Reads the content of an archive file.
#[pyclass]
// Boxed, as the writer below: Python aligns objects to 16 bytes, and the checksum's state needs 64.
struct Reader(Mutex<Box<Decompressor<File>>>);

#[pymethods]
impl Reader {
    #[new]
    fn new(file: std::path::PathBuf, max_output: Option<u64>, threads: usize) -> PyResult<Self> {
        Ok(Reader(Mutex::new(Box::new(Decompressor::new(File::open(file)?, decompression(max_output, threads))))))
    }

    /// Up to `len` bytes; none at the end.
    fn read<'py>(&mut self, py: Python<'py>, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut buffer = vec![0; len];
        let decompressor = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let read = py.detach(|| decompressor.read(&mut buffer)).map_err(|error| raise(error.into()))?;
        Ok(PyBytes::new(py, &buffer[..read]))
    }
}

/// Writes an archive file.
#[pyclass]
struct Writer(Mutex<Option<Box<Compressor<File>>>>);

#[pymethods]
impl Writer {
    /// Creates the file, which may exist only if `replace`.
    #[new]
    fn new(file: std::path::PathBuf, replace: bool, level: u8, threads: usize) -> PyResult<Self> {
        let options = compression(level, threads).map_err(raise)?;
        let file = if replace { File::create(file) } else { File::create_new(file) }?;
        Ok(Writer(Mutex::new(Some(Box::new(Compressor::new(file, options))))))
    }

    fn write(&mut self, py: Python, content: &[u8]) -> PyResult<()> {
        let compressor = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(compressor) = compressor else { return Err(io::Error::other("the file is closed").into()) };
        py.detach(|| compressor.write_all(content)).map_err(|error| raise(error.into()))
    }

    /// Completes the archive.
    fn finish(&mut self, py: Python) -> PyResult<()> {
        let compressor = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(compressor) = compressor.take() else { return Ok(()) };
        let finished = py.detach(|| compressor.finish().and_then(|file| Ok(file.sync_all()?)));
        finished.map_err(raise)
    }
}

#[pymodule]
fn _nzip(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NzipError", module.py().get_type::<NzipError>())?;
    module.add("FORMAT_VERSION", nzip::FORMAT_VERSION)?;
    module.add_function(wrap_pyfunction!(compress, module)?)?;
    module.add_function(wrap_pyfunction!(decompress, module)?)?;
    module.add_class::<Reader>()?;
    module.add_class::<Writer>()
}
