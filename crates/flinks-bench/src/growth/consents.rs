//! Measures, for different numbers of consents in memory, the memory per consent and the time to
//! read one consent.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Instant, SystemTime};

use allocation_counter::AllocationInfo;
use flinks::outbound::RefreshToken;
use flinks_bench::report::Case;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents, MemoryStore};
use tokio::runtime::Builder;

use crate::rest::SECRET;
use crate::{Bench, server};

/// The number of consents whose tokens are read.
const IN_USE: usize = 1000;

const MEMORY: &str = "Memory per idle consent, excluding its refresh token";
const READ: &str = "Time per read, by number of consents in memory";

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let sizes: &[usize] = if bench.quick { &[1000, 4000] } else { &[1000, 10_000, 100_000, 1_000_000, 10_000_000] };
    let (address, _) = server::start(server::Manner::default())?;
    for &size in sizes {
        held(bench, size, &format!("http://{address}"))?;
        let mut map = HashMap::new();
        let counted = allocation_counter::measure(|| {
            for index in 0..size {
                map.insert(format!("user-{index}"), (SECRET.to_owned(), SystemTime::now()));
            }
        });
        let case = Case::sized(MEMORY, "consents", size, "bytes");
        bench.run.add(case, "HashMap<String, (String, SystemTime)>", vec![each(&counted, size)]);
    }
    Ok(())
}

/// Measures this project's crate with `size` consents.
fn held(bench: &mut Bench, size: usize, url: &str) -> anyhow::Result<()> {
    // The runtime is single-threaded, because allocations are counted on one thread.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let store = MemoryStore::new();
    let consents = Consents::builder(super::stores::client(url)?).store(store.clone()).build();
    let mut filled = Ok(());
    let counted = allocation_counter::measure(|| filled = runtime.block_on(fill(&consents, size)));
    filled?;
    let case = Case::sized(MEMORY, "consents", size, "bytes");
    bench.run.add(case, "flinks: Consents and MemoryStore", vec![each(&counted, size)]);

    // The consents that are read are spread evenly over all consents, and consecutive reads use
    // consents that are far apart.
    let ids: Vec<ConsentId> =
        (0..IN_USE).map(|index| id(index * 7919 % IN_USE * (size / IN_USE))).collect::<Result<_, _>>()?;
    let (mut cached, mut loaded) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for _ in 0..if bench.quick { 3 } else { 200 } {
            let began = Instant::now();
            for id in &ids {
                black_box(consents.consent(id).access_token().await?);
            }
            cached.push(began.elapsed().as_secs_f64() * 1e9 / IN_USE as f64);
            let began = Instant::now();
            for id in &ids {
                black_box(store.load(id).await?);
            }
            loaded.push(began.elapsed().as_secs_f64() * 1e9 / IN_USE as f64);
        }
        anyhow::Ok(())
    })?;
    let case = || Case::sized(READ, "consents", size, "ns").lowest();
    bench.run.add(case(), "flinks: Consents::consent and access_token", cached);
    bench.run.add(case(), "flinks: MemoryStore::load", loaded);
    Ok(())
}

async fn fill(consents: &Consents, size: usize) -> anyhow::Result<()> {
    for index in 0..size {
        let _ = consents.import(&id(index)?, RefreshToken::new(SECRET)?, SystemTime::now()).await?;
    }
    Ok(())
}

fn id(index: usize) -> anyhow::Result<ConsentId> {
    Ok(format!("user-{index}").parse()?)
}

/// Returns the number of bytes that are still allocated per consent, excluding its refresh token.
fn each(counted: &AllocationInfo, size: usize) -> f64 {
    counted.bytes_current as f64 / size as f64 - SECRET.len() as f64
}
