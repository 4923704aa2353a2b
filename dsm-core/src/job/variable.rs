//! Variables of the environment: text that somebody else wrote, read with errors that name it.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use rpc::impair::Impairments;

use super::{JobError, JobSecurity, PAGE_BYTES, POLL_MAX, REGION_BYTES_MAX, check_region_bytes};

/// One variable of the environment, for errors that can name it.
pub(super) struct Variable {
    name: &'static str,
    pub(super) text: Option<String>,
}

impl Variable {
    pub(super) fn read(name: &'static str, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Variable, JobError> {
        match lookup(name).map(OsString::into_string) {
            None => Ok(Variable { name, text: None }),
            Some(Ok(text)) => Ok(Variable { name, text: Some(text) }),
            Some(Err(raw)) => {
                Err(JobError { variable: name, value: format!("{raw:?}"), problem: "it is not text".to_string() })
            }
        }
    }

    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, JobError> {
        let Some(text) = &self.text else { return Ok(None) };
        parse(text).map(Some).map_err(|problem| JobError {
            variable: self.name,
            value: format!("{text:?}"),
            problem: problem.to_string(),
        })
    }

    pub(super) fn missing(&self) -> JobError {
        JobError { variable: self.name, value: "(unset)".to_string(), problem: "a job needs it".to_string() }
    }
}

pub(super) fn decimal(text: &str, least: u64, most: u64) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a number from {least} to {most} is wanted")),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address such as 127.0.0.1:4000 is wanted".to_string())
}

pub(super) fn security(text: &str) -> Result<JobSecurity, String> {
    match text {
        "plain" => Ok(JobSecurity::Plain),
        _ => match decimal(text, 0, RawFd::MAX as u64) {
            Ok(fd) => Ok(JobSecurity::Key(fd as RawFd)),
            Err(_) => Err("a descriptor's number, or plain, is wanted".to_string()),
        },
    }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off is wanted".to_string()),
    }
}

pub(super) fn poll(text: &str) -> Result<Duration, String> {
    decimal(text, 0, POLL_MAX.as_micros() as u64).map(Duration::from_micros)
}

/// Reads a region's size, which must be whole pages and fit the address space.
pub(super) fn region_bytes(text: &str) -> Result<u64, String> {
    let bytes = decimal(text, PAGE_BYTES, REGION_BYTES_MAX)?;
    check_region_bytes(bytes).map(|()| bytes)
}

pub(super) fn impairments_to_text(impairments: &Impairments) -> Option<String> {
    let Impairments { loss, duplicate, reorder, corrupt, delay, seed } = impairments;
    let none = [loss, duplicate, reorder, corrupt].into_iter().all(|p| *p == 0.0) && delay.is_zero();
    (!none).then(|| {
        format!(
            "loss={loss},duplicate={duplicate},reorder={reorder},corrupt={corrupt},delay_us={},seed={seed}",
            delay.as_micros()
        )
    })
}

pub(super) fn impairments_from_text(text: &str) -> Result<Impairments, String> {
    let mut impairments = Impairments::default();
    for item in text.split(',') {
        let (key, value) = item.split_once('=').ok_or_else(|| format!("`{item}` is not NAME=VALUE"))?;
        match key {
            "loss" => impairments.loss = fraction(key, value)?,
            "duplicate" => impairments.duplicate = fraction(key, value)?,
            "reorder" => impairments.reorder = fraction(key, value)?,
            "corrupt" => impairments.corrupt = fraction(key, value)?,
            "delay_us" => {
                impairments.delay = Duration::from_micros(value.parse().map_err(|_| whole_number(key, value))?);
            }
            "seed" => impairments.seed = value.parse().map_err(|_| whole_number(key, value))?,
            _ => return Err(format!("`{key}` is not known; loss, duplicate, reorder, corrupt, delay_us and seed are")),
        }
    }
    Ok(impairments)
}

fn fraction(key: &str, value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err(format!("{key}={value} is not a probability from 0 to 1")),
    }
}

fn whole_number(key: &str, value: &str) -> String {
    format!("{key}={value} is not a whole number")
}
