//! Measures the memory and the CPU time of a process with a million consents, a thousand of which
//! are in use.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use cpu_time::ProcessTime;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};
use flinks_bench::report::Case;
use flinks_consents::{ConsentId, Consents};
use tokio::runtime::Builder;

use crate::{Bench, server};

/// A refresh token that is as long as a typical JWT. It differs from the access token that the
/// server sends, because the client rejects a response that contains the same string for both
/// tokens (C4).
pub const SECRET: &str = "refresh-token-of-an-end-user.eyJzdWIiOiJlbmQtdXNlci03In0.c2lnbmF0dXJlLW9mLXRva2Vu";

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (number, busy) = if bench.quick { (10_000, 100) } else { (1_000_000, 1000) };
    let (address, _) = server::start(server::Manner::default())?;
    // The runtime is single-threaded, because allocations are counted on one thread.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let table = format!("{} idle consents", flinks_bench::number::format(f64::from(number)));
    let memory = Case::new(&table, "memory per consent, excluding its refresh token", "bytes");
    let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
    let client = Client::builder(format!("http://{address}").parse()?, authentication).build()?;
    let consents = Consents::builder(client).build();
    let mut filled = Ok(());
    let counted = allocation_counter::measure(|| {
        filled = runtime.block_on(async {
            for index in 0..number {
                let _ = consents.import(&id(index)?, RefreshToken::new(SECRET)?, SystemTime::now()).await?;
            }
            anyhow::Ok(())
        });
    });
    filled?;
    bench.run.add(memory.clone(), "flinks: Consents and MemoryStore", vec![each(&counted, number)]);
    runtime.block_on(async {
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        bench.run.add(Case::new(&table, "tasks", "tasks"), "flinks: Consents and MemoryStore", vec![tasks as f64]);

        let (began, cpu) = (Instant::now(), ProcessTime::now());
        let mut reads = 0_u32;
        let handles: Vec<_> =
            (0..busy).map(|index| Ok(consents.consent(&id(index)?))).collect::<anyhow::Result<_>>()?;
        while began.elapsed() < Duration::from_secs(if bench.quick { 1 } else { 5 }) {
            for handle in &handles {
                drop(handle.access_token().await?);
                reads += 1;
            }
        }
        let per_read = cpu.elapsed().as_secs_f64() * 1e9 / f64::from(reads);
        let case = Case::new(&table, format!("CPU time to read a token, {busy} consents in turn"), "ns");
        bench.run.add(case, "flinks: Consents and MemoryStore", vec![per_read]);
        anyhow::Ok(())
    })?;
    let mut map = HashMap::new();
    let counted = allocation_counter::measure(|| {
        for index in 0..number {
            map.insert(format!("user-{index}"), (SECRET.to_owned(), SystemTime::now()));
        }
    });
    bench.run.add(memory, "HashMap<String, (String, SystemTime)>", vec![each(&counted, number)]);
    drop(map);
    Ok(())
}

/// Returns the number of bytes that are still allocated per consent, excluding its refresh token.
fn each(counted: &allocation_counter::AllocationInfo, number: i32) -> f64 {
    counted.bytes_current as f64 / f64::from(number) - SECRET.len() as f64
}

fn id(index: i32) -> anyhow::Result<ConsentId> {
    Ok(format!("user-{index}").parse()?)
}
