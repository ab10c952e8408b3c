//! What the program does with models, and says of them.

#![cfg(feature = "cli")]

mod common;
#[path = "common/shell.rs"]
mod shell;

use std::fs;

use shell::Shell;

/// A model of one layer in the folder `name`; the last weight is `last`. Only multiples of 32 can be run.
fn write_model(shell: &Shell, name: &str, hidden: usize, last: f32) {
    let layer = |part: &str, shape: &[usize]| (format!("model.layers.0.{part}.weight"), shape.to_vec());
    let tensors = [
        ("model.embed_tokens.weight".to_owned(), vec![4, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
        layer("input_layernorm", &[hidden]),
        layer("self_attn.q_proj", &[hidden, hidden]),
        layer("self_attn.k_proj", &[hidden, hidden]),
        layer("self_attn.v_proj", &[hidden, hidden]),
        layer("self_attn.o_proj", &[hidden, hidden]),
        layer("post_attention_layernorm", &[hidden]),
        layer("mlp.gate_proj", &[3, hidden]),
        layer("mlp.up_proj", &[3, hidden]),
        layer("mlp.down_proj", &[hidden, 3]),
    ];
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let begin = data.len();
        (0..shape.iter().product()).for_each(|i: usize| data.extend((i as f32 % 8.0).to_le_bytes()));
        let tensor = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert(name, tensor);
    }
    let end = data.len() - 4;
    data[end..].copy_from_slice(&last.to_le_bytes());
    let header = serde_json::Value::Object(header).to_string();
    let weights = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    let config = r#"{"model_type": "llama", "vocab_size": 4, "hidden_size": HIDDEN, "intermediate_size": 3,
        "num_hidden_layers": 1, "num_attention_heads": 1, "tie_word_embeddings": true, "bos_token_id": 0}"#
        .replace("HIDDEN", &hidden.to_string());
    let tokenizer = r#"{"model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "Ġ": 2, "Ġa": 3}, "merges": ["Ġ a"]},
        "decoder": {"type": "ByteLevel"}, "added_tokens": [{"id": 0, "content": "<s>", "special": true}]}"#;
    fs::create_dir_all(shell.path(name)).unwrap();
    shell.write(&format!("{name}/model.safetensors"), &weights);
    shell.write(&format!("{name}/config.json"), config.as_bytes());
    shell.write(&format!("{name}/tokenizer.json"), tokenizer.as_bytes());
}

#[test]
fn models_are_described_and_listed() {
    let shell = Shell::new();
    write_model(&shell, "tiny", 32, 5.0);
    write_model(&shell, "hub/models--org--tiny/snapshots/1", 32, 5.0);
    for folder in ["bert", "gguf"] {
        fs::create_dir_all(shell.path(&format!("hub/models--org--{folder}/snapshots/1"))).unwrap();
    }
    shell.write("hub/models--org--bert/snapshots/1/config.json", br#"{"model_type": "bert"}"#);
    shell.write("hub/models--org--gguf/snapshots/1/broken.gguf", b"GGUF but not one");
    write_model(&shell, "damaged", 32, 5.0);
    write_model(&shell, "narrow", 2, 5.0);
    let weights = shell.read("damaged/model.safetensors");
    shell.write("damaged/model.safetensors", &weights[..weights.len() - 1]);
    shell.write("other.gguf", b"GGUF but not one");
    let mut said = String::new();
    for line in [
        "model info tiny",
        "model info --json tiny",
        "model info org/tiny",
        "model list",
        "model list --json",
        "model info damaged",
        "model info narrow",
        "model info other.gguf",
        "model info org/none",
        "model info nothing",
        "model pull nothing",
    ] {
        let mut command = assert_cmd::Command::from_std(shell.command(line));
        let output = command.env("HF_HUB_CACHE", "hub").output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        said += &format!("$ nzip {line}\nexit code {}\n{stdout}{stderr}\n", output.status.code().unwrap());
    }
    // Whatever GPU this machine has.
    let filters = [(r"GPU {9}.*", "GPU         [gpu]"), (r#""gpu": ".*""#, r#""gpu": "[gpu]""#)];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(said) });
}

/// The tokenizer has no merges, so it cuts " a" in two, which is one of the longest tokens.
#[test]
fn models_are_measured_on_a_text() {
    let shell = Shell::new();
    write_model(&shell, "tiny", 32, 5.0);
    let byte_level = r#"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}"#;
    let tokenizer = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{"id": 0, "content": "<s>",
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}], "normalizer": null,
        "pre_tokenizer": BYTES, "post_processor": null, "decoder": BYTES, "model": {"type": "BPE", "dropout": null,
        "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
        "byte_fallback": false, "vocab": {"<s>": 0, "a": 1, "Ġ": 2, "Ġa": 3}, "merges": []}}"#
        .replace("BYTES", byte_level);
    shell.write("tiny/tokenizer.json", tokenizer.as_bytes());
    shell.write("letters", "a a aa a  a".repeat(20).as_bytes());
    shell.write("binary", b"a a\xff a");
    let check = |file: &str| -> serde_json::Value {
        let run = shell.run(&format!("model info --json tiny --check {file}"));
        assert_eq!(run.code, 0, "{}", run.said);
        serde_json::from_slice::<serde_json::Value>(&run.stdout).unwrap()[0]["check"].clone()
    };
    let letters = check("letters");
    let figure = |name: &str| letters[name].as_f64().unwrap();
    assert_eq!(letters["bytes"], 220);
    assert!(
        figure("tokenizer") > 0.0 && figure("longest") > 0.0 && figure("tokenizer") != figure("longest"),
        "{letters}"
    );
    assert!(figure("mixed") > 0.0 && figure("mixed") < 8.0, "{letters}");
    let binary = check("binary");
    assert_eq!(binary["no_tokenizer"], "the file is not UTF-8");
    // Norms and products of so small a model are hardly rounded.
    let rounding = &letters["rounding"];
    let [bytes, int8, binary32] = ["bytes", "int8", "binary32"].map(|name| rounding[name].as_f64().unwrap());
    assert!(bytes == 220.0 && (int8 / binary32 - 1.0).abs() < 0.05, "{rounding}");
    assert!((int8 / figure("tokenizer") - 1.0).abs() < 1e-9, "{letters}");
    let table = shell.run("model info tiny --check letters");
    assert!(String::from_utf8(table.stdout).unwrap().contains("checked     220 bytes; bits per byte of them:\n"));
    shell.write("empty", b"");
    assert!(shell.run("model info tiny --check empty").said.contains("empty is empty"));
    assert!(shell.run("model info tiny --check none").said.contains("none"));
}

/// Only of models in the cache, and as long as their files are the same.
#[test]
fn what_was_measured_is_listed() {
    let shell = Shell::new();
    let snapshot = "hub/models--org--tiny/snapshots/1";
    write_model(&shell, snapshot, 32, 5.0);
    write_model(&shell, "hub/models--org--other/snapshots/1", 32, 3.0);
    write_model(&shell, "tiny", 32, 5.0);
    shell.write("letters", "a a aa a  a".repeat(20).as_bytes());
    let run = |line: &str| {
        let mut command = assert_cmd::Command::from_std(shell.command(line));
        let output = command.env("HF_HUB_CACHE", "hub").output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = || run("model list").lines().filter(|line| line.contains(" bits per byte of letters")).count();
    run("model info tiny --check letters");
    assert_eq!(listed(), 0);
    let found: serde_json::Value = serde_json::from_str(&run("model info --json org/tiny --check letters")).unwrap();
    assert_eq!(listed(), 1);
    let rows: serde_json::Value = serde_json::from_str(&run("model list --json")).unwrap();
    assert_eq!((&rows[1]["check"], &rows[1]["checked"]), (&found[0]["check"], &"letters".into()));
    assert_eq!(rows[0].get("check"), None);
    run("model info org/other --check letters");
    assert_eq!(listed(), 2);
    write_model(&shell, snapshot, 64, 5.0);
    assert_eq!(listed(), 1);
    // What can't be read counts as nothing.
    shell.write("hub/nzip-checks.json", b"{");
    assert_eq!(listed(), 0);
    run("model info org/tiny --check letters");
    assert_eq!(listed(), 1);
}

#[cfg(not(feature = "pull"))]
#[test]
fn models_to_fetch_by_hand() {
    let run = Shell::new().run("model pull HuggingFaceTB/SmolLM2-135M");
    assert!(run.code == 1 && run.said.contains("from https://huggingface.co/HuggingFaceTB/SmolLM2-135M/resolve/main/"));
}

/// The name that archives give a model.
fn id(shell: &Shell, model: &str) -> String {
    let info: serde_json::Value =
        serde_json::from_slice(&shell.run(&format!("model info --json {model}")).stdout).unwrap();
    info[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_another_model_made_needs_it_again() {
    let shell = Shell::new();
    write_model(&shell, "tiny", 32, 5.0);
    write_model(&shell, "other", 32, 3.0);
    let (text, tiny, other) = (shell.read("text"), id(&shell, "tiny"), id(&shell, "other"));
    assert_ne!(tiny, other);
    // Short archives of one lane have only the start of the id.
    let mut lengths = Vec::new();
    for (lanes, name, id) in [(1, "PATH", &format!("{}…", &tiny[..4])), (2, "tiny", &tiny)] {
        let archive = shell.run(&format!("c -c -6 --lanes {lanes} --model tiny text")).stdout;
        shell.write("text.nz", &archive);
        lengths.push(archive.len());
        assert_ne!(archive, shell.run(&format!("c -c -6 --lanes {lanes} --model other text")).stdout);
        assert_eq!(shell.run("d -c --model tiny text.nz").stdout, text);
        let missing = shell.run("d -c text.nz");
        assert!(
            missing.code == 4
                && missing.stdout.is_empty()
                && missing.said.contains(&format!("needs --model {name} (id {id})")),
            "{}",
            missing.said
        );
        let wrong = shell.run("d -c --model other text.nz");
        assert!(wrong.code == 4 && wrong.stdout.is_empty(), "{}", wrong.said);
        assert!(wrong.said.contains(id) && wrong.said.contains(&other), "{}", wrong.said);
        assert_eq!(shell.run("d -c --model nothing text.nz").code, 4);
        shell.write("cut.nz", &archive[..archive.len() - 9]);
        let cut = shell.run("d -c --model tiny cut.nz");
        assert!(cut.code == 2 && cut.said.contains("ends early"), "{}", cut.said);
        let list = shell.run("l text.nz");
        assert!(String::from_utf8(list.stdout).unwrap().contains(&format!("external:{}", id.trim_end_matches('…'))));
    }
    assert!(lengths[0] + 40 < lengths[1], "{lengths:?}");
    // What it consists of can be listed without it.
    shell.write("archive.zip", include_bytes!("samples/archive.zip"));
    shell.run("c -6 --model tiny archive.zip");
    let listed = String::from_utf8(shell.run("l -v archive.zip.nz").stdout).unwrap();
    assert!(listed.contains(" deflate\n") && listed.contains(" text\n") && listed.contains(&tiny), "{listed}");
}

/// The transformer is shown LF in place of CR LF if all lines end so.
#[test]
fn line_ends_come_back() {
    let shell = Shell::new();
    write_model(&shell, "tiny", 32, 5.0);
    let lines: String = (0..60).map(|i| format!("a line {} of a text\r\n", i * i % 97)).collect();
    let few = lines.replace('\r', "");
    for (text, is_filtered) in
        [(lines.clone(), true), (lines.clone() + "a\n", false), (lines + "\r", false), (few, false)]
    {
        shell.write("lines", text.as_bytes());
        for options in ["-6", "-6 --lanes 4", "-9 -T2", "-8 --no-verify"] {
            let archive = shell.run(&format!("c -c {options} --model tiny lines")).stdout;
            shell.write("lines.nz", &archive);
            let back = shell.run("d -c --model tiny lines.nz");
            assert_eq!(back.stdout, text.as_bytes(), "{options}: {}", back.said);
        }
        // The short form's profile comes after its magic and its version.
        assert_eq!(shell.read("lines.nz")[3] >> 4 & 3 == 2, is_filtered);
        let explained = shell.run("explain --json --model tiny lines.nz");
        assert_eq!(explained.code, 0, "{}", explained.said);
    }
}

/// Opening a pipe would wait for a writer.
#[cfg(unix)]
#[test]
fn pipes_and_folders_are_no_model_files() {
    let shell = Shell::new();
    write_model(&shell, "tiny", 32, 5.0);
    let made = shell.sh("mkfifo pipe.gguf; mkdir folder.gguf; rm tiny/config.json; mkfifo tiny/config.json");
    assert_eq!(made.code, 0, "{}", made.said);
    for model in ["pipe.gguf", "folder.gguf", "tiny"] {
        let run = shell.run(&format!("c -c -6 --model {model} text"));
        assert!(run.code == 4 && run.stdout.is_empty(), "{model}: {} {}", run.code, run.said);
    }
}

#[cfg(unix)]
#[test]
#[ignore = "needs ../shared/models/stories260K-hf"]
fn a_real_model_round_trips() {
    let stories = common::model("stories260K-hf");
    let shell = Shell::new();
    std::os::unix::fs::symlink(fs::canonicalize(stories).unwrap(), shell.path("stories")).unwrap();
    let archive = shell.run("c -c -6 --model stories text").stdout;
    let back = shell.feed("d --model stories", &archive);
    assert_eq!(back.stdout, shell.read("text"), "{}", back.said);
    let missing = shell.feed("d", &archive);
    assert!(missing.code == 4 && missing.said.contains(&id(&shell, "stories")[..8]), "{}", missing.said);
}
