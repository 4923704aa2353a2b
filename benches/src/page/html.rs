//! The page: one file, no script, nothing fetched.

use std::fmt::{self, Write as _};

use super::chart::{STYLE, amount, escape};
use super::figures::Figure;
use super::findings;
use super::results::{Form, Job, Results, Variation};

/// Whatever a browser is told to do with the page, it may load nothing and run nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const LAYOUT: &str = "\
*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:76rem;background:var(--ground);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.15rem;margin:.2rem 0}\
.lead{font-size:1.1rem;max-width:50rem}.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;padding:0;list-style:none}\
.numbers li{border:1px solid var(--rule);border-radius:.5rem;padding:.6rem .8rem}.numbers b{display:block;font-size:1.7rem}\
.figures{columns:2 32rem;column-gap:1.2rem}\
figure{margin:0 0 1.2rem;break-inside:avoid;padding:.8rem;border:1px solid var(--rule);border-radius:.5rem;min-width:0}figure svg{display:block;width:100%;height:auto}\
figcaption{font-size:.85rem;color:var(--soft)}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}\
th,td{padding:.2rem .5rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}th:first-child,td:first-child,td.words{text-align:left}\
summary{cursor:pointer;font-weight:600;padding:.4rem 0}code{overflow-wrap:anywhere}\
@media(max-width:30rem){body{padding:.5rem}figure{padding:.4rem}}";

/// The whole page.
pub fn page(results: &Results, figures: &[Figure]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text, results, figures);
    text
}

fn write_page(text: &mut String, results: &Results, figures: &[Figure]) -> fmt::Result {
    write!(
        text,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>DSM against RPC</title><style>{STYLE}{LAYOUT}</style></head><body>\n\
         <h1>Distributed shared memory against remote procedure call</h1>\n<p class=\"lead\">{}</p>\n<ul class=\"numbers\">",
        escape(&findings::verdict(results))
    )?;
    for (number, what) in findings::headlines(results) {
        write!(text, "<li><b>{}</b>{}</li>", escape(&number), escape(&what))?;
    }
    let (ladder, jobs) = (results.ladder.how.to_string(), results.jobs.how.to_string());
    write!(
        text,
        "</ul>\n<p>Measured with <code>{}</code>. Single accesses: {}. Jobs: {}.</p>\n<div class=\"figures\">",
        escape(&results.command),
        escape(&ladder),
        escape(&jobs)
    )?;
    for figure in figures {
        write_figure(text, figure)?;
    }
    text.push_str("</div>\n");
    let deaths = &results.deaths;
    if !deaths.rows.is_empty() {
        let told = escape(&findings::jobs::deaths(&deaths.rows));
        write!(text, "<figure id=\"deaths\"><h2>A process dies in the midst of a job</h2><p>{told}</p>")?;
        writeln!(text, "<figcaption>{}.</figcaption></figure>", escape(&deaths.how.to_string()))?;
    }
    let (base, varied) = (results.jobs.how.to_string(), results.variations.how.to_string());
    let how = format!("First table of each: {base}. Second: {varied}.");
    write!(text, "<h2>All figures of the jobs</h2>\n<p>{}</p>\n", escape(&how))?;
    for job in &results.jobs.rows {
        write_job(text, job, &results.variations.rows)?;
    }
    text.push_str("</body></html>\n");
    Ok(())
}

fn write_figure(text: &mut String, figure: &Figure) -> fmt::Result {
    let Figure { id, title, finding, caption, chart } = figure;
    writeln!(
        text,
        "<figure id=\"{id}\"><h2>{}</h2><p>{}</p>{}<figcaption>{}</figcaption></figure>",
        escape(title),
        escape(finding),
        chart.element(id, title, finding),
        escape(caption)
    )
}

fn write_job(text: &mut String, job: &Job, variations: &[Variation]) -> fmt::Result {
    write!(
        text,
        "<details><summary>{}: {}; {} {}; {} in one process</summary><div class=\"wide\"><table><tr><th>form</th><th>what it does</th>\
         <th>time</th><th>speed-up</th><th>messages</th><th>bytes</th><th>datagrams</th><th>read faults</th><th>write faults</th>\
         <th>upgrades</th><th>pages taken again</th><th>calls</th><th>waiting</th><th>processor</th><th>lines</th></tr>",
        escape(&job.name),
        escape(&job.shows),
        job.size,
        escape(&job.unit),
        amount(job.plain.median, "s")
    )?;
    job.forms.iter().try_for_each(|form| write_form(text, job, form))?;
    text.push_str("</table></div>");
    write_variations(text, job, variations)?;
    text.push_str("</details>\n");
    Ok(())
}

fn write_form(text: &mut String, job: &Job, form: &Form) -> fmt::Result {
    let total = &form.total;
    let seconds = |value: f64| amount(value, "s");
    let all: f64 = form.time.parts().iter().sum();
    let waited = if all > 0.0 { 100.0 * (all - form.time.computing) / all } else { 0.0 };
    write!(
        text,
        "<tr><td>{}</td><td class=\"words\">{}</td><td>{} ({} to {})</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{waited:.0} %</td><td>{}</td><td>{}</td></tr>",
        escape(&form.name),
        escape(&form.what),
        seconds(form.elapsed.median),
        seconds(form.elapsed.low),
        seconds(form.elapsed.high),
        amount(job.plain.median / form.elapsed.median, ""),
        total.messages,
        total.bytes,
        total.datagrams,
        total.read_faults,
        total.write_faults,
        total.upgrade_faults + total.exclusive_faults,
        form.conflicts().map_or("-".into(), |rate| format!("{:.0} %", 100.0 * rate)),
        total.calls,
        seconds(total.processor.as_secs_f64()),
        form.lines
    )
}

fn write_variations(text: &mut String, job: &Job, variations: &[Variation]) -> fmt::Result {
    text.push_str(
        "<div class=\"wide\"><table><tr><th>form</th><th>nodes</th><th>datagrams lost</th><th>size</th><th>time</th><th>speed-up</th>\
         <th>messages</th><th>faults</th></tr>",
    );
    for it in variations.iter().filter(|it| it.job == job.name) {
        let seconds = |value: f64| amount(value, "s");
        write!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{:.0} %</td><td>{}</td><td>{} ({} to {})</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&it.form),
            it.nodes,
            100.0 * it.loss,
            it.size,
            seconds(it.elapsed.median),
            seconds(it.elapsed.low),
            seconds(it.elapsed.high),
            amount(it.plain.median / it.elapsed.median, ""),
            it.total.messages,
            it.total.faults()
        )?;
    }
    text.push_str("</table></div>");
    Ok(())
}
