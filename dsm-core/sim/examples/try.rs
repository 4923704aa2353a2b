fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let nodes = (a[2] > 0).then_some(a[2] as usize);
    let options = sim::Options { nodes, ..Default::default() };
    if a.len() > 3 {
        let r = sim::trace(a[0], &options, &mut |l| println!("{l}"));
        println!("{:#?}", r);
        return;
    }
    let mut s = sim::Summary::default();
    let mut bad = 0;
    for seed in a[0]..a[1] {
        let t = std::time::Instant::now();
        let r = sim::run(seed, &options);
        if t.elapsed().as_millis() > 1000 { println!("seed {seed} slow {:?} nodes {} ops {}", t.elapsed(), r.scenario.nodes, r.operations); }
        s.add(&r);
        if let Err(e) = &r.verdict { bad += 1; if bad < 30 { println!("seed {seed}: nodes {} {}", r.scenario.nodes, e.to_string().chars().take(300).collect::<String>()); } }
        if !r.counts() { println!("seed {seed} doesn't count {:?} ops {}", r.faults, r.operations); }
    }
    println!("{s}\nbad {bad}");
}
