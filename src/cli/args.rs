//! Command-line arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use nzip::{BlockSize, Device, Lanes};

use super::exit::Outcome;
use super::level::{IgnoredLevel, LevelArg, LevelsArg};
use super::stdio::is_terminal;
use super::stdio::{message, printable};
use super::values::{ByteRange, block_size, lanes, memory, prior_size, range, size, threads};
use super::verb::insert_verb;

const AFTER_HELP: &str = "\
Environment (options on the command line override it):
  NZIP_LEVEL, NZIP_THREADS, NZIP_MODEL, NZIP_DEVICE
       defaults of the level, -T, --model and --device
  NZIP_PRIOR_PATH
       folders in which priors that archives need are looked for
  NO_COLOR
       no colours

Exit codes:
  0    success
  1    usage or system error (file not found, output exists, disk full)
  2    the input is damaged, truncated, or not an archive
  3    internal error
  4    a model is missing, damaged, or unsupported
  5    a limit (-M, --max-output) would be exceeded";

fn version() -> &'static str {
    format!("{} (format version {})", env!("CARGO_PKG_VERSION"), nzip::FORMAT_VERSION).leak()
}

/// A lossless compressor that trades speed for a high compression ratio.
///
/// `nzip FILE` is short for `nzip c FILE`. Without a verb, the flags -d, -t and -l select the verbs d, t and l.
#[derive(Parser)]
#[command(name = "nzip", version = version(), after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// Compress files: FILE becomes FILE.nz
    #[command(name = "c", visible_alias = "compress", after_help = AFTER_HELP)]
    Compress(CompressArgs),
    /// Decompress files: FILE.nz becomes FILE
    #[command(name = "d", visible_alias = "decompress", after_help = AFTER_HELP)]
    Decompress(DecompressArgs),
    /// Decompress files to standard output
    #[command(after_help = AFTER_HELP)]
    Cat(CatArgs),
    /// Decode archives and verify all checksums, writing nothing
    #[command(name = "t", visible_alias = "test", after_help = AFTER_HELP)]
    Test(TestArgs),
    /// List the contents of archives without decoding them
    #[command(name = "l", visible_aliases = ["list", "ls"], after_help = AFTER_HELP)]
    List(ListArgs),
    /// Measure size, speed and memory of every level, and of other compressors
    #[command(after_help = AFTER_HELP)]
    Bench(BenchArgs),
    /// Make a prior of sample files: with it, small files like them become far smaller
    #[command(after_help = AFTER_HELP)]
    Train(TrainArgs),
    /// Describe, list or download transformer models
    #[command(after_help = AFTER_HELP)]
    Model(ModelArgs),
    /// Show where the bits of files and archives go, by kind of content and by expert
    #[command(after_help = AFTER_HELP)]
    Explain(ExplainArgs),
    /// Print completions for a shell
    Completions { shell: Shell },
    /// Print the manual page, or write those of all verbs into a folder
    Man { folder: Option<PathBuf> },
}

/// The files that a verb works on.
#[derive(Args)]
pub struct FileArgs {
    /// Input files; `-` or none is standard input
    pub files: Vec<PathBuf>,
    /// Process the files in folders, at any depth. c leaves out .nz files; d and t take no others
    #[arg(short, long)]
    pub recursive: bool,
    /// Process the files named in LIST, too, each name followed by a zero byte, as `find -print0` writes them; `-` is
    /// standard input
    #[arg(long, value_name = "LIST")]
    pub files0_from: Option<PathBuf>,
}

/// Arguments of most verbs.
#[derive(Args)]
pub struct CommonArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// Number of blocks processed in parallel; 0 is one per core. Never changes the output
    #[arg(short = 'T', long, value_name = "N", env = "NZIP_THREADS", hide_env = true, default_value = "0", value_parser = threads)]
    pub threads: usize,
    /// Transformer to use instead of the embedded one: a Hugging Face folder, a GGUF file, or the name of a model in the
    /// Hugging Face cache. Decompression needs the same model
    #[arg(long, value_name = "PATH", env = "NZIP_MODEL", hide_env = true)]
    pub model: Option<PathBuf>,
    /// Start with this prior, which `nzip train` made of similar data: a file, or the name of one in NZIP_PRIOR_PATH.
    /// Decompression needs it, too: here, in a folder of NZIP_PRIOR_PATH, or beside the archive
    #[arg(long, value_name = "FILE")]
    pub prior: Option<PathBuf>,
    /// What evaluates the transformer: auto, cpu, cuda or cuda:N (an NVIDIA GPU). Never changes the output
    #[arg(long, value_name = "DEVICE", env = "NZIP_DEVICE", hide_env = true, default_value = "auto")]
    pub device: Device,
    /// Memory limit, such as 500M, 2G or 50%; default: 75% of the memory available to the process
    #[arg(short = 'M', long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<u64>,
    /// Show progress on standard error
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub progress: When,
    /// Print a summary for each file, as on a terminal, and what it consists of
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No progress, no summaries, no warnings; twice: no error messages either
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub quiet: u8,
}

impl CommonArgs {
    /// True if summaries are printed: with `--verbose`, and on a terminal.
    pub fn summaries(&self) -> bool {
        self.quiet == 0 && (self.verbose > 0 || is_terminal())
    }
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
    /// Write into this folder, which is made if need be, instead of the input's
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["stdout", "output"])]
    pub output_dir: Option<PathBuf>,
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
    pub fn is_one_file(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.as_os_str() != "-")
    }
}

/// How content is coded.
#[derive(Args)]
pub struct CodingArgs {
    #[command(flatten)]
    pub level: LevelArg,
    /// Number of positions of a text coded at a time at levels 6 to 9: 1, 2, 4 to 128. More are faster, most of all with
    /// large models; fewer compress better
    #[arg(long, value_name = "N", value_parser = lanes)]
    pub lanes: Option<Lanes>,
    /// Leave compressed data inside the content (zip, gzip, png, pdf, jpeg and the like) and base64 as they are
    #[arg(long)]
    pub no_recompress: bool,
    /// Divide the content into independent blocks of this length, 64K to 1G: damage costs one of them. By default, blocks after the
    /// first begin with what that has taught the model, and are so long that many cores are busy and little is lost
    #[arg(long, value_name = "SIZE", value_parser = block_size)]
    pub block_size: Option<BlockSize>,
}

/// Arguments of `nzip c`.
#[derive(Args)]
pub struct CompressArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub coding: CodingArgs,
    /// Decode each block and compare it before the output gets its name. The default from level 3 on with two threads or more
    #[arg(long, overrides_with = "no_verify")]
    pub verify: bool,
    /// Do not decode what was coded
    #[arg(long)]
    pub no_verify: bool,
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
    /// Write only bytes A up to, not including, B of the content, such as 0..4K, 1M.. or ..100, to standard output or to the
    /// file of -o. Only the blocks with these bytes are decoded
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with_all = ["keep_going", "rm", "output_dir"])]
    pub range: Option<ByteRange>,
    #[command(flatten)]
    pub level: IgnoredLevel,
}

/// Arguments of `nzip cat`.
#[derive(Args)]
pub struct CatArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Write only bytes A up to, not including, B of each file's content
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub range: Option<ByteRange>,
}

impl CatArgs {
    /// The arguments of `nzip d` that do the same.
    pub fn decompress(self) -> DecompressArgs {
        let output = OutputArgs { stdout: true, output: None, output_dir: None, force: false, keep: true, rm: false };
        let CatArgs { common, limits, range } = self;
        DecompressArgs { common, output, limits, keep_going: false, range, level: IgnoredLevel }
    }
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
    #[command(flatten)]
    pub level: IgnoredLevel,
}

/// Arguments of `nzip train`.
#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub files: FileArgs,
    /// The prior's file. The name should end in .prior
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The most bytes of samples in the prior. More compress better; the first block that a process codes takes longer
    #[arg(long, value_name = "SIZE", default_value = "256K", value_parser = prior_size)]
    pub size: usize,
    /// Overwrite the file
    #[arg(short, long)]
    pub force: bool,
    /// No summary; twice: no error messages either
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub quiet: u8,
}

/// Limits for untrusted archives.
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
    /// Input files, or names of corpora, which are fetched: canterbury, large, enwik8, silesia. `-` or none is standard
    /// input
    pub files: Vec<PathBuf>,
    /// Estimate how long 1 MB of text takes at each level, in less than 20 seconds; without files
    #[arg(long, conflicts_with_all = ["files", "model", "memory", "lanes", "no_denoise"])]
    pub quick: bool,
    /// Number of blocks processed in parallel; 0 is one per core
    #[arg(short = 'T', long, value_name = "N", default_value = "0", value_parser = threads)]
    pub threads: usize,
    /// Compare this transformer with the embedded one, at level 6 unless others are given. May be given several times
    #[arg(long, value_name = "PATH")]
    pub model: Vec<PathBuf>,
    /// What evaluates the transformer: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", env = "NZIP_DEVICE", default_value = "auto")]
    pub device: Device,
    /// Memory limit, such as 500M, 2G or 50%
    #[arg(short = 'M', long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<u64>,
    /// Twice: no error messages
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub quiet: u8,
    #[command(flatten)]
    pub levels: LevelsArg,
    /// Number of positions of a text coded at a time at levels 6 to 9
    #[arg(long, value_name = "N", value_parser = lanes)]
    pub lanes: Option<Lanes>,
    /// Length of independent blocks, as in compression
    #[arg(long, value_name = "SIZE", value_parser = block_size)]
    pub block_size: Option<BlockSize>,
    /// Also report sizes without the denoiser. Archives always use it
    #[arg(long)]
    pub no_denoise: bool,
    /// Measure no other compressors. Otherwise those on PATH are: xz, zstd, brotli, bzip3, zpaq, 7z, lrzip and the like
    #[arg(long)]
    pub no_peers: bool,
    /// Print JSON: an array with one object per file and program
    #[arg(long)]
    pub json: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print a table in Markdown
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub md: bool,
    /// Also draw a chart into this file: compression ratio against speed
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Arguments of `nzip explain`.
#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub coding: CodingArgs,
    /// Also measure what would be lost without each expert. Compresses once more for each
    #[arg(long)]
    pub experts: bool,
    /// Also write a page with all details into this file, for a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Colour the text by what it costs; without colours, it is not printed
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// Print JSON: an array with one object
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
        /// Also measure bits per byte of the first 64 KiB of this text: by the model alone, and mixed as `nzip c -9` does
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
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

/// When to do what suits a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// If it goes to a terminal
    Auto,
    Always,
    Never,
}

/// Parses the arguments. Returns the exit code if they are invalid or ask for help.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Verb, ExitCode> {
    let args = match insert_verb(args.collect(), &Cli::command()) {
        Ok(args) => args,
        Err(text) => {
            message(format!("nzip: {text}"));
            return Err(Outcome::Environment.into());
        }
    };
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.verb),
        Err(error) => {
            let text = error.to_string();
            // Arguments are quoted in the text, which styles the rest for the terminal.
            match text.split('\n').all(|line| line == printable(line)) {
                true => drop(error.print()),
                false => message(text.trim_end()),
            }
            Err(if error.use_stderr() { Outcome::Environment } else { Outcome::Done }.into())
        }
    }
}

/// The definition of the command line.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_agrees_with_itself() {
        Cli::command().debug_assert();
    }
}
