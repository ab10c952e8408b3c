//! Command-line arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nzip::{BlockSize, Lanes};

use super::exit::Outcome;
use super::level::LevelArg;

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    usage or system error (file not found, output exists, disk full)
  2    the input is damaged, truncated, or not an archive
  3    internal error
  4    a model is missing, damaged, or unsupported
  5    a limit (-M, --max-output) would be exceeded
  130  interrupted";

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (format version 12)");

/// A lossless compressor that trades speed for a high compression ratio.
///
/// `nzip FILE` is short for `nzip c FILE`. -d, -t and -l as the first argument select the verbs d, t and l.
#[derive(Parser)]
#[command(name = "nzip", version = VERSION, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// Compress files: FILE becomes FILE.nz
    #[command(name = "c", visible_alias = "compress", after_help = EXIT_CODES)]
    Compress(CompressArgs),
    /// Decompress files: FILE.nz becomes FILE
    #[command(name = "d", visible_alias = "decompress", after_help = EXIT_CODES)]
    Decompress(DecompressArgs),
    /// Decode archives and verify all checksums, writing nothing
    #[command(name = "t", visible_alias = "test", after_help = EXIT_CODES)]
    Test(TestArgs),
    /// List the contents of archives without decoding them
    #[command(name = "l", visible_aliases = ["list", "ls"], after_help = EXIT_CODES)]
    List(ListArgs),
    /// Compress and decompress files in memory, compare, and measure size and speed
    #[command(after_help = EXIT_CODES)]
    Bench(BenchArgs),
    /// Describe, list or download transformer models
    #[command(after_help = EXIT_CODES)]
    Model(ModelArgs),
}

/// Arguments of most verbs.
#[derive(Args)]
pub struct CommonArgs {
    /// Input files; `-` or none is standard input
    pub files: Vec<PathBuf>,
    /// Number of blocks processed in parallel; 0 is one per core. Never changes the output
    #[arg(short = 'T', long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Transformer to use instead of the embedded one: a Hugging Face folder, a GGUF file, or the name of a model in the
    /// Hugging Face cache. Decompression needs the same model
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Memory limit, such as 500M or 2G; default: three quarters of the machine's memory
    #[arg(short = 'M', long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Show progress on standard error
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub progress: ProgressMode,
    /// Print a summary for each file
    #[arg(short, long)]
    pub verbose: bool,
    /// No progress, no summaries, no warnings; twice: no error messages either
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub quiet: u8,
}

/// Output options.
#[derive(Args, Clone)]
pub struct OutputArgs {
    /// Write to standard output
    #[arg(short = 'c', long)]
    pub stdout: bool,
    /// Write to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "stdout")]
    pub output: Option<PathBuf>,
    /// Overwrite files, write archives to a terminal, compress .nz files
    #[arg(short, long)]
    pub force: bool,
    /// Keep the input files (the default)
    #[arg(short, long, overrides_with = "rm")]
    pub keep: bool,
    /// Remove each input file once its output is safely on disk
    #[arg(long, overrides_with = "keep")]
    pub rm: bool,
}

impl OutputArgs {
    /// True if the output's name does not depend on the input's.
    pub fn is_named(&self) -> bool {
        self.stdout || self.output.is_some()
    }

    /// True if several inputs would overwrite one output.
    pub fn is_shared(&self, common: &CommonArgs) -> bool {
        common.files.len() > 1 && self.output.as_ref().is_some_and(|output| output.as_os_str() != "-")
    }
}

/// Arguments of `nzip c`.
#[derive(Args)]
pub struct CompressArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub level: LevelArg,
    /// Number of positions of a text coded at a time at levels 6 to 9: 1, 2, 4 to 128. More are faster, most of all with
    /// large models; fewer compress better
    #[arg(long, value_name = "N", value_parser = lanes)]
    pub lanes: Option<Lanes>,
    /// Leave compressed data inside the content (zip, gzip, png, pdf, jpeg and the like) as they are
    #[arg(long)]
    pub no_recompress: bool,
    /// Maximum content length of a block, 64K to 1G. Larger blocks compress better; smaller ones allow more parallelism
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = block_size)]
    pub block_size: BlockSize,
}

/// Arguments of `nzip d`.
#[derive(Args)]
pub struct DecompressArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Write all undamaged blocks, report what is missing, and exit with 2
    #[arg(long)]
    pub keep_going: bool,
}

/// Arguments of `nzip t`.
#[derive(Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Continue after damage and report all of it
    #[arg(long)]
    pub keep_going: bool,
}

/// LimitArgs for untrusted archives.
#[derive(Args)]
pub struct LimitArgs {
    /// Reject archives with more content than this before decoding
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_output: Option<u64>,
}

/// Arguments of `nzip l`.
#[derive(Args)]
pub struct ListArgs {
    /// Archives
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Print the streams and segments of each block, too
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON: an array with one object per file
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `nzip bench`.
#[derive(Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub level: LevelArg,
    /// Number of positions of a text coded at a time at levels 6 to 9
    #[arg(long, value_name = "N", value_parser = lanes)]
    pub lanes: Option<Lanes>,
    /// Maximum content length of a block
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = block_size)]
    pub block_size: BlockSize,
    /// Also report sizes without the denoiser. Archives always use it
    #[arg(long)]
    pub no_denoise: bool,
    /// Print JSON: an array with one object per file
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `nzip model`.
#[derive(Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    pub verb: ModelVerb,
}

/// Verbs of `nzip model`.
#[derive(Subcommand)]
pub enum ModelVerb {
    /// Load a model and describe it
    Info {
        /// A Hugging Face folder, a GGUF file, or a name in the Hugging Face cache, such as HuggingFaceTB/SmolLM2-135M
        model: PathBuf,
        /// Print JSON: an array with one object
        #[arg(long)]
        json: bool,
    },
    /// List the models in the Hugging Face cache
    List {
        /// Print JSON: an array with one object per model
        #[arg(long)]
        json: bool,
    },
    /// Download a model from Hugging Face into the cache
    Pull {
        /// ORG/NAME, or ORG/NAME/FILE.gguf
        name: String,
    },
}

/// ProgressMode to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// If standard error is a terminal
    Auto,
    Always,
    Never,
}

/// Parses the arguments. Returns the exit code if they are invalid or ask for help.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Verb, ExitCode> {
    match Cli::try_parse_from(insert_verb(args.collect())) {
        Ok(cli) => Ok(cli.verb),
        Err(error) => {
            // Nothing can be done if standard error is closed.
            let _ = error.print();
            Err(if error.use_stderr() { Outcome::Environment } else { Outcome::Done }.into())
        }
    }
}

/// Inserts the verb if it is implied or given as a flag: `nzip -dk FILE` becomes `nzip d -k FILE`.
fn insert_verb(mut args: Vec<OsString>) -> Vec<OsString> {
    let first = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default().to_owned();
    let verb = match first.as_str() {
        "c" | "compress" | "d" | "decompress" | "t" | "test" | "l" | "list" | "ls" | "bench" | "model" | "help"
        | "-h" | "--help" | "-V" | "--version" => return args,
        "--compress" | "--decompress" | "--test" | "--list" => {
            args.remove(1);
            first[2..].to_owned()
        }
        _ => match first.strip_prefix('-').and_then(|flags| flags.split_at_checked(1)) {
            Some((verb @ ("d" | "t" | "l"), rest)) => {
                match rest {
                    "" => drop(args.remove(1)),
                    _ => args[1] = format!("-{rest}").into(),
                }
                verb.to_owned()
            }
            _ => "c".to_owned(),
        },
    };
    args.insert(args.len().min(1), verb.into());
    args
}

/// Parses a number of bytes: 1000, 64K, 64KiB, 64M, 2G, 2g, …
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err("not a size; write for example 1000, 64K, 64M or 2G".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size; write for example 1000, 64K, 64M or 2G".to_string())?;
    number.checked_mul(1 << unit).ok_or_else(|| "too large".into())
}

fn lanes(text: &str) -> Result<Lanes, String> {
    let number = text.parse().map_err(|_| "not a number".to_string())?;
    Lanes::new(number).map_err(|error| error.to_string())
}

fn block_size(text: &str) -> Result<BlockSize, String> {
    BlockSize::new(size(text)?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn completed(line: &str) -> String {
        let args = insert_verb(line.split(' ').map(Into::into).collect());
        args.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn clap_agrees_with_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbs_are_understood() {
        assert_eq!(completed("nzip"), "nzip c");
        assert_eq!(completed("nzip file"), "nzip c file");
        assert_eq!(completed("nzip -9k file"), "nzip c -9k file");
        assert_eq!(completed("nzip -d file"), "nzip d file");
        assert_eq!(completed("nzip -dkc file"), "nzip d -kc file");
        assert_eq!(completed("nzip --test file"), "nzip test file");
        assert_eq!(completed("nzip d file"), "nzip d file");
        assert_eq!(completed("nzip --help"), "nzip --help");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("3MiB"), Ok(3 << 20));
        assert!(["", "K", "1X", "-1", "1.5M", "99999999T"].iter().all(|text| size(text).is_err()));
        assert!(block_size("1K").is_err() && block_size("1G").is_ok());
    }
}
