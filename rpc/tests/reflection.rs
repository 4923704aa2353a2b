//! What callers without an interface are told, and can call.

mod common;

use std::sync::atomic::Ordering;

use common::*;
use rpc::driver::DriverConfig;
use rpc::reflection::{JSON_BYTES_MAX, JsonError, ReflectionClient};
use rpc::{CallErrorKind, Failure, Ran, ServerHandle, StartError};

fn mirror(server: &ServerHandle) -> ReflectionClient {
    ReflectionClient::new(client(server))
}

fn call(mirror: &ReflectionClient, method: &str, arguments: &str) -> Result<String, Failure<JsonError>> {
    mirror.call("Lab".to_owned(), method.to_owned(), arguments.to_owned())
}

#[test]
fn a_server_describes_its_services() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let services = mirror(&server).services().unwrap();
        assert_eq!(services.len(), 1);
        assert_eq!((services[0].name.as_str(), services[0].version), ("Lab", 3));
        assert_eq!(services[0].schema, LabClient::INTERFACE.schema().hash);
        let echo = &services[0].methods[0];
        assert_eq!(
            (echo.signature().as_str(), echo.doc.as_str()),
            ("echo(text: String) -> String", "Gives the text back.")
        );
        let divide = &services[0].methods[1];
        assert_eq!(divide.signature(), "divide(a: u64, b: u64) -> Result<u64, String>");
    });
}

#[test]
fn a_call_in_json_runs_the_method_and_answers_in_json() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let mirror = mirror(&server);
        assert_eq!(call(&mirror, "echo", r#"["grüße"]"#).unwrap(), r#""grüße""#);
        assert_eq!(call(&mirror, "divide", r#"{"b": 2, "a": 6}"#).unwrap(), "3");
        let grown = call(&mirror, "grow", r#"[{"Circle": {"radius": 2.0}}, 1.5]"#).unwrap();
        assert_eq!(grown, r#"{"Circle":{"radius":3.0}}"#);
        assert_eq!(call(&mirror, "grow", r#"{"shape": "Point"}"#).unwrap(), r#""Point""#);
        assert_eq!(call(&mirror, "reverse", "[[1, 2, 3]]").unwrap(), "[3,2,1]");
        assert_eq!(call(&mirror, "reverse", r#"["abc"]"#).unwrap(), "[99,98,97]");
        assert_eq!(call(&mirror, "increment", "[]").unwrap(), "1");
        assert_eq!(bench.increments.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_methods_own_error_and_its_panic_are_told_apart() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let mirror = mirror(&server);
        let failure = call(&mirror, "divide", "[6, 0]").unwrap_err();
        assert_eq!(failure, Failure::Application(JsonError::Application(r#""6 by nothing""#.to_owned())));
        let Err(Failure::Call(error)) = call(&mirror, "fail", r#"["out of ink"]"#) else { panic!("it fails") };
        assert_eq!((error.kind, error.ran), (CallErrorKind::Panicked("out of ink".to_owned()), Ran::Yes));
    });
}

#[test]
fn what_is_wrong_with_a_call_is_said_in_words() {
    guarded(|| {
        let (server, bench) = serve(|builder| builder);
        let mirror = mirror(&server);
        let words = |method: &str, arguments: &str| call(&mirror, method, arguments).unwrap_err().to_string();
        let told = mirror.call("Lob".to_owned(), String::new(), String::new()).unwrap_err().to_string();
        assert_eq!(told, "there is no service `Lob` here; there is Lab");
        assert!(
            words("incremnt", "[]")
                .starts_with("the service has no method `incremnt`; it has echo, divide, grow, increment")
        );
        assert!(words("divide", "[6, \"two\"]").contains("`b` should be u64: invalid type: string \"two\""));
        assert!(words("divide", "[6").contains("this is not JSON"));
        assert!(words("increment", "[1]").contains("1 given, wanted are 0"));
        assert!(words("echo", &format!("[\"{}\"]", "x".repeat(JSON_BYTES_MAX))).contains("at most"));
        assert_eq!(bench.increments.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn json_that_nests_without_end_is_refused() {
    guarded(|| {
        let (server, _bench) = serve(|builder| builder);
        let deep = "[".repeat(100_000);
        assert!(call(&mirror(&server), "echo", &deep).unwrap_err().to_string().contains("recursion limit"));
    });
}

mod taken {
    #[rpc::service]
    pub trait Reflection {
        fn look(&self);
    }
}

impl taken::Reflection for () {
    fn look(&self) {}
}

#[test]
fn no_other_service_can_take_the_name() {
    let builder =
        rpc::Server::builder(DriverConfig::plain()).bind(loopback()).unwrap().serve(taken::ReflectionServer::new(()));
    assert!(matches!(builder.start(), Err(StartError::SameService("Reflection", "Reflection"))));
}
