//! Methods → handlers, per era.
//!
//! Owns which methods there are in which revision. What is quick is answered on the
//! reading thread; tools that can take time get a thread of their own there. Called by
//! `connection` with requests whose id and era are settled.

use std::sync::Arc;

use serde_json::Value;

use crate::mcp::call::Call;
use crate::mcp::call::inflight::Ticket;
use crate::mcp::feature::{completion, prompts, resources, skills};
use crate::mcp::protocol::handshake;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::Session;
use crate::mcp::tools::{self, definitions, schema};
use crate::mcp::wire::json::Json;
use crate::mcp::wire::message::{Params, RpcError};

/// Answers a request, now or later.
pub(crate) fn request(
    session: &Arc<Session>,
    ticket: Ticket,
    caller: Caller,
    method: &str,
    params: Params,
) {
    match method {
        "tools/call" => call_tool(session, ticket, caller, params),
        "subscriptions/listen" if caller.version.is_modern() => {
            session.protocol_tasks.listen(ticket, caller, &params);
        }
        "tasks/result" if caller.version.has_core_tasks() => {
            session.protocol_tasks.result(ticket, caller, &params);
        }
        _ => ticket.answer(answer(session, &caller, method, &params)),
    }
}

/// The methods that are answered at once.
fn answer(
    session: &Arc<Session>,
    caller: &Caller,
    method: &str,
    params: &Params,
) -> Result<Json, RpcError> {
    let server = &session.server;
    let snapshot = server.store.current();
    let pager = &session.pager;
    match method {
        "tools/list" => list_tools(session, caller, params),
        "resources/list" => resources::list(&snapshot, pager, caller, params),
        "resources/templates/list" => resources::templates(pager, caller, params),
        "resources/read" => {
            resources::read(&snapshot, (&server.sandbox, &server.audit), caller, params)
        }
        "prompts/list" => {
            pager.page::<()>("prompts", params, Vec::new())?;
            Ok(prompts::list(caller))
        }
        "prompts/get" => prompts::read(&snapshot, caller, params),
        "completion/complete" => completion::complete(&snapshot, &server.tasks, caller, params),
        _ if caller.version.is_modern() => answer_modern(session, caller, method, params),
        _ => answer_legacy(session, caller, method, params),
    }
}

fn answer_modern(
    session: &Arc<Session>,
    caller: &Caller,
    method: &str,
    params: &Params,
) -> Result<Json, RpcError> {
    match method {
        "server/discover" => Ok(handshake::discover(caller, asks_client(session))),
        "skills/list" => skills::list(&session.pager, caller, params),
        "skills/get" => skills::entry(caller, params),
        "tasks/get" | "tasks/update" | "tasks/cancel" => {
            session.protocol_tasks.answer_modern(caller, method, params)
        }
        _ => Err(RpcError::method_not_found(method)),
    }
}

fn answer_legacy(
    session: &Arc<Session>,
    caller: &Caller,
    method: &str,
    params: &Params,
) -> Result<Json, RpcError> {
    let done = Json::empty_object();
    match method {
        "initialize" => {
            let handshake = session.initialize(params)?;
            Ok(handshake::initialize(&handshake, asks_client(session)))
        }
        "ping" => Ok(done),
        "logging/setLevel" => {
            session.set_level(params.get("level").unwrap_or(&Value::Null))?;
            Ok(done)
        }
        "resources/subscribe" => {
            let snapshot = session.server.store.current();
            session.watch(resources::known_uri(&snapshot, caller, params)?)?;
            Ok(done)
        }
        // Also of what a reload took away.
        "resources/unsubscribe" => {
            session.unwatch(resources::uri(params)?);
            Ok(done)
        }
        "tasks/get" | "tasks/list" | "tasks/cancel" if caller.version.has_core_tasks() => {
            let pager = &session.pager;
            session
                .protocol_tasks
                .answer_core(pager, caller, method, params)
        }
        _ => Err(RpcError::method_not_found(method)),
    }
}

/// Whether there are rules that ask a person, and nobody but the client's to be asked.
fn asks_client(session: &Session) -> bool {
    let server = &session.server;
    server.store.current().policy().asks() && server.tasks.desk().is_none()
}

fn list_tools(session: &Arc<Session>, caller: &Caller, params: &Params) -> Result<Json, RpcError> {
    // All tools are one page, so no cursor was ever given out for them.
    session.pager.page::<()>("tools", params, Vec::new())?;
    let transfers = session.server.tasks.transfers().is_some();
    let tools = schema::list(caller.version, transfers);
    let result = caller.result().json("tools", &tools);
    Ok(caller.keep_for(handshake::STATIC_MS, result).end())
}

fn call_tool(session: &Arc<Session>, ticket: Ticket, caller: Caller, params: Params) {
    let name = params.get("name").and_then(Value::as_str);
    let tool = match name.map(definitions::find) {
        Some(Some(tool)) => tool,
        Some(None) => return ticket.answer(Err(unknown_tool(name.unwrap_or_default()))),
        None => return ticket.answer(Err(RpcError::invalid_params("tools/call needs a name"))),
    };
    match Call::new(session, caller, ticket, tool, params) {
        Ok(call) => tools::serve(call),
        Err((ticket, error)) => ticket.answer(Err(error)),
    }
}

/// Says which tool there is that was most likely meant, and lists all.
fn unknown_tool(name: &str) -> RpcError {
    let names: Vec<&str> = definitions::TOOLS.iter().map(|tool| tool.name).collect();
    let nearest = match tools::nearest(name, names.iter().copied()) {
        Some(nearest) => format!("; nearest: {nearest}"),
        None => String::new(),
    };
    let name: String = name.chars().take(50).flat_map(char::escape_debug).collect();
    let text = format!("Unknown tool '{name}'{nearest}");
    RpcError::invalid_params(&text).with_data(Json::of(&names))
}
