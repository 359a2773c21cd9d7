// SPDX-License-Identifier: Apache-2.0
//! shares SECONDS: prints what its functions used, as examples/truth.h does.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

trait Job {
    fn run(&self, steps: u64) -> u64;
}

struct Parse(u64);
struct Render(u64);

#[inline(never)]
fn mix(steps: u64, factor: u64) -> u64 {
    let mut x = factor;
    for _ in 0..steps {
        x = std::hint::black_box(x.wrapping_mul(factor).wrapping_add(1));
    }
    x
}

impl Job for Parse {
    #[inline(never)]
    fn run(&self, steps: u64) -> u64 {
        mix(steps * 3, self.0) ^ 1
    }
}

impl Job for Render {
    #[inline(never)]
    fn run(&self, steps: u64) -> u64 {
        mix(steps, self.0) ^ 2
    }
}

#[inline(never)]
fn serve<F: Fn(&dyn Job) -> u64>(jobs: &[Box<dyn Job>], f: F) -> u64 {
    jobs.iter().map(|j| f(j.as_ref())).sum::<u64>() ^ 3
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let jobs: Vec<Box<dyn Job>> = vec![Box::new(Parse(6364136223846793005)), Box::new(Render(2862933555777941757))];
    let mut seen = BTreeMap::new();
    while Instant::now() < end {
        *seen.entry(serve(&jobs, |j| j.run(50_000))).or_insert(0u64) += 1;
    }
    println!("{}", seen.len());
}
