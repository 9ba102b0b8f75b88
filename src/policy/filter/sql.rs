//! Statements of SQL that only read, as `psql -c`, `mysql -e` and `sqlite3` take them.
//!
//! Owns the words and functions that may stand in them, and refuses each that is no plain
//! SELECT, SHOW, EXPLAIN or DESCRIBE: a comment, a backslash (psql and
//! mysql read commands there), a word that writes, locks or names a file, a function that
//! is not known to compute only, a table that holds passwords. Functions, operators and
//! views that somebody made on the server are not seen here. Called by the reader.

/// Which client reads the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Mysql,
    Sqlite,
}

/// Whether these are statements that only read, with a `;` behind each but the last.
pub(crate) fn is_plain(text: &str, dialect: Dialect) -> bool {
    let text = text.trim_matches(' ');
    if dialect == Dialect::Postgres && text.starts_with('\\') {
        return is_listing(text);
    }
    let all = statements(text.strip_suffix(';').unwrap_or(text));
    all.into_iter().all(|each| is_statement(each, dialect))
}

/// Cut at each `;` outside quotes. In what only reads no quote is escaped, so that the client
/// and the server cut at the same places: [`tokens`] refuses a backslash, a comment and a `$`.
fn statements(text: &str) -> Vec<&str> {
    let mut quote = None;
    text.split(|c| match (quote, c) {
        (Some(open), c) => {
            if c == open {
                quote = None;
            }
            false
        }
        (None, ';') => true,
        (None, c) => {
            quote = matches!(c, '\'' | '"' | '`').then_some(c);
            false
        }
    })
    .collect()
}

fn is_statement(text: &str, dialect: Dialect) -> bool {
    let text = text.trim_matches(' ');
    let text = match (dialect, text.strip_suffix("\\G")) {
        // The client's own way to end a statement.
        (Dialect::Mysql, Some(rest)) => rest,
        _ => text,
    };
    let Some(tokens) = tokens(text, dialect) else {
        return false;
    };
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    begins(&words, dialect) && words.iter().all(|word| !NEVER.contains(word)) && parts(&tokens)
}

/// What psql lists (psql(1), meta-commands), `\dt public.*` for one: none of those that show
/// sources of functions or passwords of foreign servers (`\df+`, `\deu+`), and a pattern
/// without quotes: within backticks would be a command of the shell.
fn is_listing(text: &str) -> bool {
    const LISTINGS: &[&str] = &[
        "\\conninfo",
        "\\d",
        "\\db",
        "\\df",
        "\\dg",
        "\\di",
        "\\dm",
        "\\dn",
        "\\dp",
        "\\ds",
        "\\dt",
        "\\du",
        "\\dv",
        "\\dx",
        "\\l",
        "\\z",
    ];
    let (command, pattern) = text.split_once(' ').unwrap_or((text, ""));
    let plain = command.trim_end_matches(['+', 'S']);
    LISTINGS.contains(&plain)
        && command.len() <= plain.len() + 2
        && (plain != "\\df" || !command.contains('+'))
        && pattern
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.* ".contains(&b))
}

/// The first words, and what may follow SHOW.
fn begins(words: &[&str], dialect: Dialect) -> bool {
    match words {
        ["show", rest @ ..] => match (dialect, rest) {
            (Dialect::Postgres, rest) => rest.len() <= 3,
            (Dialect::Sqlite, _) => false,
            // SHOW GRANTS and SHOW CREATE USER print hashes.
            (Dialect::Mysql, ["create", what, ..]) => {
                ["table", "view", "database", "schema", "trigger", "event"].contains(what)
            }
            (Dialect::Mysql, rest) => !rest.contains(&"grants") && !rest.contains(&"create"),
        },
        ["select" | "with" | "values" | "table", rest @ ..] => !rest.contains(&"create"),
        ["explain", rest @ ..] => rest.contains(&"select") && !rest.contains(&"create"),
        ["describe" | "desc", rest @ ..] => dialect == Dialect::Mysql && rest.len() <= 4,
        _ => false,
    }
}

/// Names before a parenthesis are functions, and names with a point belong to a schema.
fn parts(tokens: &[Token]) -> bool {
    let mut before: Option<&Token> = None;
    let mut schema: Option<&str> = None;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Open => match before {
                Some(Token::Word(name)) => {
                    let known = FUNCTIONS.contains(&name.as_str())
                        || BEFORE_A_PARENTHESIS.contains(&name.as_str());
                    let own = schema.is_none_or(|schema| schema == "pg_catalog");
                    if !known || !own {
                        return false;
                    }
                }
                Some(Token::Quoted) => return false,
                _ => {}
            },
            Token::Word(name) => {
                let point = matches!(before, Some(Token::Point));
                let qualified = at.checked_sub(2).and_then(|at| tokens.get(at));
                // PostgreSQL calls a function of this name: `('/x'::text).pg_read_file`,
                // `x[1].lo_import` (seen with 15).
                if point && matches!(qualified, Some(Token::Other)) {
                    return false;
                }
                let qualifier = qualified.and_then(|token| match token {
                    Token::Word(word) => Some(word.as_str()),
                    _ => None,
                });
                schema = if point {
                    Some(qualifier.unwrap_or("?"))
                } else {
                    None
                };
                // mysql.user and its like hold hashes, whatever the column is called.
                let follows = tokens.get(at + 1);
                if name == "mysql" && matches!(follows, Some(Token::Point)) {
                    return false;
                }
                let table = matches!(before, Some(Token::Word(word)) if BEFORE_A_TABLE.contains(&word.as_str()))
                    || matches!(before, Some(Token::Comma));
                if table && ["user", "global_priv"].contains(&name.as_str()) {
                    return false;
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    true
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A name or keyword, in small letters.
    Word(String),
    /// In single or double quotes.
    Quoted,
    Open,
    Point,
    Comma,
    Other,
}

fn tokens(text: &str, dialect: Dialect) -> Option<Vec<Token>> {
    let bytes = text.as_bytes();
    // Another character set of the server may take a byte for a quote.
    if bytes.iter().any(|b| !(b' '..=b'~').contains(b)) {
        return None;
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let next = bytes.get(at + 1).copied();
        match (byte, next) {
            (b'\\' | b';' | b'$' | b'#' | b'{' | b'}', _) | (b'-', Some(b'-')) => return None,
            (b'/', Some(b'*')) | (b'*', Some(b'/')) | (b':', Some(b'=')) => return None,
            (b'`', _) if dialect != Dialect::Mysql => return None,
            // There a name, of a function too, with anything in it: `[readfile]('/x')`.
            (b'[' | b']', _) if dialect == Dialect::Sqlite => return None,
            (b'\'' | b'"' | b'`', _) => {
                let length = bytes.get(at + 1..)?.iter().position(|b| *b == byte)?;
                let inner = text.get(at + 1..at + 1 + length)?;
                if inner.contains('\\') {
                    return None;
                }
                // Where a table is named, a text is a name, too.
                if dialect == Dialect::Sqlite && names_files(inner) {
                    return None;
                }
                if byte == b'\'' {
                    tokens.push(Token::Quoted);
                } else if inner
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_')
                {
                    // A quoted name is still a name: "pg_shadow", `into`.
                    tokens.push(Token::Word(inner.to_ascii_lowercase()));
                } else {
                    tokens.push(Token::Quoted);
                }
                at += length + 2;
                continue;
            }
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => {
                let word = bytes.get(at..)?.iter();
                let length = word
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                    .count();
                let word = text.get(at..at + length)?.to_ascii_lowercase();
                if dialect == Dialect::Sqlite && names_files(&word) {
                    return None;
                }
                at += length;
                tokens.push(Token::Word(word));
                continue;
            }
            (b'(', _) => tokens.push(Token::Open),
            (b'.', _) => tokens.push(Token::Point),
            (b',', _) => tokens.push(Token::Comma),
            (b' ', _) => {}
            _ => tokens.push(Token::Other),
        }
        at += 1;
    }
    Some(tokens)
}

/// Tables of the shell of sqlite3 that show files, the path in a column that is not listed:
/// `select data from fsdir where path='/x'` (seen with 3.40).
fn names_files(name: &str) -> bool {
    ["fsdir", "zipfile"]
        .iter()
        .any(|table| name.eq_ignore_ascii_case(table))
}

/// Words that write, lock, call, name a file, or hold what logs in.
#[rustfmt::skip]
const NEVER: &[&str] = &[
    "alter", "analyse", "attach", "authentication_string", "begin", "call", "checkpoint", "cluster", "comment",
    "commit", "copy", "deallocate", "declare", "delete", "detach", "discard", "do", "drop", "dumpfile", "execute",
    "fetch", "flush", "global_priv", "grant", "handler", "import", "insert", "install", "into", "kill", "listen", "load",
    "lock", "merge", "move", "notify", "outfile", "password", "pg_authid", "pg_shadow",
    "pg_subscription", "pg_user_mapping", "pg_user_mappings", "prepare", "procedure", "purge", "reassign", "refresh",
    "reindex", "release", "rename", "reset", "revoke", "rollback", "rolpassword", "savepoint",
    "security", "share", "shutdown", "start", "stop", "trigger_password", "truncate",
    // U&"pg_sh!0061dow" UESCAPE '!' is pg_shadow.
    "uescape", "unlisten", "update",
    "user_mapping_options", "vacuum", "xa",
];

/// Keywords behind which a table is named.
const BEFORE_A_TABLE: &[&str] = &["from", "join", "straight_join", "table"];

/// Keywords and types behind which a parenthesis opens no function.
#[rustfmt::skip]
const BEFORE_A_PARENTHESIS: &[&str] = &[
    "all", "and", "any", "array", "as", "between", "by", "case", "cast", "char", "character", "cube", "decimal", "distinct",
    "else", "except", "exists", "explain", "filter", "from", "having", "ilike", "in", "intersect", "interval", "is", "join", "lateral",
    "like", "limit", "not", "numeric", "offset", "on", "or", "over", "rollup", "row", "select", "sets", "some",
    "then", "time", "timestamp", "union", "using", "values", "varchar", "when", "where",
];

/// Functions that compute, or tell the state of the server.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "abs", "age", "array_agg", "array_length", "array_to_string", "avg", "bool_and", "bool_or", "ceil", "ceiling", "coalesce",
    "col_description", "concat", "concat_ws", "connection_id", "convert_tz", "count", "curdate", "current_database",
    "current_schema", "current_schemas", "current_setting_names", "current_timestamp", "curtime", "database", "date", "date_add", "date_format", "date_part",
    "date_sub", "date_trunc", "datediff", "dense_rank", "exp", "extract", "first_value", "floor", "format_bytes",
    "format_type", "from_unixtime", "greatest", "group_concat", "has_schema_privilege", "has_table_privilege", "hour", "if", "ifnull",
    "inet_client_addr", "inet_server_addr", "inet_server_port", "isnull", "json_agg", "json_build_object", "lag", "last_value", "lead",
    "least", "left", "length", "char_length", "ln", "log", "lower", "ltrim", "max", "min", "minute", "mod", "month", "now", "nullif",
    "obj_description", "overlay", "percentile_cont", "percentile_disc", "pg_backend_pid", "pg_blocking_pids", "pg_column_size",
    "pg_conf_load_time", "pg_current_wal_lsn", "pg_database_size", "pg_get_constraintdef", "pg_get_expr", "pg_get_indexdef",
    "pg_get_viewdef", "pg_indexes_size", "pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_postmaster_start_time", "pg_relation_size", "pg_size_pretty",
    "pg_stat_get_activity", "pg_table_is_visible", "pg_table_size", "pg_tablespace_size", "pg_total_relation_size", "pg_wal_lsn_diff", "position", "quote_ident",
    "rank", "regexp_replace", "replace", "right", "round", "row_number", "rtrim", "schema", "second", "sign", "split_part", "sqrt", "stddev",
    "string_agg", "substr", "substring", "sum", "sysdate", "timediff", "timestampdiff", "to_char", "to_date", "to_number",
    "to_timestamp", "trim", "trunc", "txid_current_if_assigned", "unix_timestamp", "upper", "user", "variance", "version", "week", "year",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_read() {
        for text in [
            "SELECT version();",
            "\\dt",
            "\\d+ public.orders",
            "\\l+",
            "\\df public.*",
            "select 1",
            "select 1; select 'a;b' ;show max_connections;",
            "select count(*) from pg_stat_activity",
            "SELECT query, calls, total_exec_time, mean_exec_time FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 10;",
            "select pid, state, now()-query_start, query from pg_stat_activity where state <> 'idle'",
            "SELECT pg_size_pretty(pg_database_size('shop'))",
            "SELECT relname, n_live_tup::numeric(10,2) FROM pg_catalog.pg_stat_user_tables WHERE relname in ('a''b')",
            "with x as (select 1) select * from x",
            "show max_connections",
            "explain (analyze, buffers) select * from orders where id = 5",
            "select a.id, b.total * 1.5 from shop.orders a join \"shop\".totals b on a.id = b.id",
        ] {
            assert!(is_plain(text, Dialect::Postgres), "{text}");
        }
        for text in [
            "SHOW PROCESSLIST",
            "show global status like 'Threads_connected'; show variables like 'max_%';",
            "show processlist; show replica status\\G",
            "SHOW FULL PROCESSLIST\\G",
            "SHOW GLOBAL STATUS LIKE 'Threads%'",
            "SHOW CREATE TABLE shop.orders",
            "SELECT @@version, `id` FROM shop.`orders`",
            "DESCRIBE orders",
        ] {
            assert!(is_plain(text, Dialect::Mysql), "{text}");
        }
    }

    #[test]
    fn statements_that_do_more_or_are_unclear() {
        for text in [
            "",
            "\\! id",
            "\\dt `id`",
            "\\deu+",
            "\\df+",
            "\\dt\n\\! id",
            "\\d x \\! id",
            "\\copy x to y",
            "\\i x",
            "\\d'x'",
            "\\dSSS",
            "delete from orders",
            "select 1; drop table x",
            "select 'a'; delete from x; select ''",
            "select 1;; select 1",
            "select 1; \\! id",
            "; delete from x",
            "select ';' from x; truncate y",
            "select pg_read_file('/etc/passwd')",
            "select pg_catalog.pg_read_file('/x')",
            "select \"pg_read_file\"('/x')",
            "select public.count(1)",
            "select pg_sleep(100)",
            "select pg_terminate_backend(5)",
            "select lo_import('/etc/passwd')",
            "select set_config('a','b',false)",
            "select nextval('s')",
            "select * into t from x",
            "select * from x for update",
            "with x as (delete from y returning 1) select * from x",
            "select usename, passwd from pg_shadow",
            "select * from \"pg_shadow\"",
            "select $$a$$",
            "select 1 -- x",
            "select 1 /* x */",
            "select E'\\' || 'x'",
            "\\! touch x",
            "select 'a",
            "copy t to program 'x'",
            "explain analyze delete from x",
            "show a b c d",
            "table pg_authid",
            "select `into`",
            "select dblink('x')",
            "select query_to_xml('delete from x',true,false,'')",
            "select 'é'",
            "select ('/etc/passwd'::text).pg_read_file",
            "select (pid) . pg_terminate_backend from pg_stat_activity",
            "select (array['/etc/passwd'])[1].lo_import",
            "select ('/x'::text).\"lo_import\"",
            "select * from U&\"pg_sh!0061dow\" UESCAPE '!'",
        ] {
            assert!(!is_plain(text, Dialect::Postgres), "{text}");
        }
        for text in [
            "select data from fsdir where path='/etc/passwd'",
            "select data from main.FSDIR where path='/etc/passwd'",
            "select data from \"fsdir\" where path='/etc/passwd'",
            "select data from 'fsdir' where path='/etc/passwd'",
            "select data from x, 'FsDir' where path='/etc/passwd'",
            "select data from zipfile where z='/x.zip'",
            "select [readfile]('/etc/passwd')",
            "select [writefile]('/x', 'y')",
            "select ['], readfile('/etc/passwd') as [']",
            "select `readfile`('/etc/passwd')",
            "select \"readfile\"('/etc/passwd')",
            "select load_extension('/x')",
            "\\dt",
            ".shell id",
        ] {
            assert!(!is_plain(text, Dialect::Sqlite), "{text}");
        }
        assert!(is_plain("select count(*) from \"orders\"", Dialect::Sqlite));
        for text in [
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT load_file('/etc/passwd')",
            "SELECT /*!50000 1 */",
            "SELECT * FROM mysql.user",
            "SELECT 1; SELECT * FROM mysql.user",
            "SELECT 1\\G; source /x",
            "SELECT `a;b`; SET GLOBAL x=1",
            "SELECT 1; delimiter x",
            "SELECT * FROM `mysql`.`user`",
            "SELECT * FROM user",
            "SELECT * FROM db STRAIGHT_JOIN user",
            "TABLE user",
            "SELECT sleep(5)",
            "SHOW GRANTS FOR root",
            "SHOW CREATE USER root",
            "SET GLOBAL x=1",
            "system touch x",
            "source /x",
            "SELECT @a := 1",
            "SELECT 1 # x",
            "SELECT benchmark(1000000,1)",
            "SELECT sys_exec('x')",
            "\\! touch x",
        ] {
            assert!(!is_plain(text, Dialect::Mysql), "{text}");
        }
    }
}
