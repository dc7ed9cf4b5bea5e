//! Runs every target on its corpus and on inputs from proptest.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests

use std::path::Path;

use flinks_fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.collect()
}

/// Runs a target on its corpus, on mutated corpus files and on random inputs.
fn run(name: &str, cases: u32) {
    let (_, target): (_, Target) = *TARGETS.iter().find(|(found, _)| *found == name).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    for bytes in &corpus {
        target(bytes);
    }
    let spliced = (prop::sample::select(corpus.clone()), prop::sample::select(corpus), any::<[u16; 3]>()).prop_map(
        |(mut one, other, at)| {
            let place = |at: u16, length: usize| usize::from(at) % (length + 1);
            one.truncate(place(at[0], one.len()));
            one.extend_from_slice(&other[place(at[1], other.len())..]);
            let at = place(at[2], one.len());
            if let Some(byte) = one.get_mut(at) {
                *byte = byte.wrapping_add(1);
            }
            one
        },
    );
    let input = prop_oneof![3 => spliced, 1 => prop::collection::vec(any::<u8>(), 0..200), 1 => "\\PC{0,100}".prop_map(String::into_bytes)];
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&input, |bytes| {
            target(&bytes);
            Ok(())
        })
        .unwrap();
}

macro_rules! targets {
    ($($name:ident: $cases:expr,)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), $cases);
            }
        )*

        #[test]
        fn each_target_runs_here_and_in_the_fuzzer() {
            let here = [$(stringify!($name)),*];
            assert_eq!(here.to_vec(), TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            for name in here {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
                assert!(file.exists(), "{name}");
            }
        }
    };
}

targets! {
    token_reply: 3000,
    error_reply: 3000,
    callback: 3000,
    retry_after: 3000,
    claims: 3000,
    store_file: 3000,
    addresses: 3000,
    generator: 150,
}
