//! Checks that the SQL statements stay within a subset that PostgreSQL, CockroachDB and YugabyteDB
//! all document. The statements have not been run on CockroachDB or YugabyteDB.
//!
//! The lists contain exactly the words that the statements use. Before you add a word, look it up
//! in the CockroachDB and YugabyteDB documentation.

use std::collections::BTreeSet;

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::PostgresStore;
use crate::schema::Schema;
use crate::statements::Statements;

/// Words with a fixed meaning. The list omits `FOR UPDATE`, `LOCK`, `PREPARE`, `LISTEN`, `BEGIN` and
/// everything else that needs a session or more than one statement.
const KEYWORDS: &[&str] = &[
    "all", "and", "as", "by", "case", "cast", "check", "conflict", "create", "cross", "delete", "do", "else", "end",
    "excluded", "exists", "from", "if", "index", "insert", "into", "is", "join", "key", "lateral", "limit", "not",
    "nothing", "null", "on", "or", "order", "primary", "schema", "select", "set", "table", "then", "true", "union",
    "update", "values", "when", "where",
];

const TYPES: &[&str] = &["bytea", "int2", "int8", "text"];

/// The functions that the statements call, and `epoch`, the field that `extract` returns.
const FUNCTIONS: &[&str] = &["count", "current_setting", "epoch", "extract", "generate_series", "now", "octet_length"];

/// System tables and their columns.
const SYSTEM: &[&str] = &[
    "information_schema",
    "nspname",
    "oid",
    "pg_catalog",
    "pg_class",
    "pg_namespace",
    "relname",
    "relnamespace",
    "relpersistence",
    "schema_name",
    "schemata",
];

/// The store's tables, columns, indexes and aliases.
const NAMES: &[&str] = &[
    "c",
    "consents",
    "consents_deadline",
    "consents_ended",
    "consents_owner",
    "d",
    "deadline",
    "ended",
    "expires",
    "flinks",
    "generation",
    "holder",
    "i",
    "k",
    "l",
    "meta",
    "n",
    "name",
    "owner",
    "p",
    "part",
    "value",
    "work_leases",
];

const SCHEMA: &str = "flinks";

/// Returns the store's statements.
fn statements() -> [String; 19] {
    // The pattern has no `..`, so a new statement cannot be forgotten here.
    let Statements {
        load,
        insert,
        update,
        remove,
        list,
        scan,
        count,
        is_end_unreported,
        due_in,
        due,
        ended_in,
        is_unreported,
        mark_reported,
        acquire_lease,
        release_lease,
        read_meta,
        insert_fingerprint,
        find_schema,
        read_settings,
    } = Statements::new(&Schema::new(SCHEMA.to_owned()).unwrap());
    [
        load,
        insert,
        update,
        remove,
        list,
        scan,
        count,
        is_end_unreported,
        due_in,
        due,
        ended_in,
        is_unreported,
        mark_reported,
        acquire_lease,
        release_lease,
        read_meta,
        insert_fingerprint,
        find_schema,
        read_settings,
    ]
}

/// Returns all SQL statements from the store and the migrations.
fn all() -> Vec<String> {
    let migrations = PostgresStore::migrations(SCHEMA).unwrap().into_iter().map(|migration| migration.sql.into_owned());
    statements().into_iter().chain(migrations).collect()
}

#[test]
fn statements_use_only_words_that_other_servers_document() {
    let mut found = BTreeSet::new();
    for sql in all() {
        for token in Tokenizer::new(&PostgreSqlDialect {}, &sql).tokenize().unwrap() {
            match token {
                Token::Word(word) => {
                    found.insert(word.value.to_lowercase());
                }
                Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::Whitespace(_) => {}
                Token::Comma | Token::Period | Token::SemiColon | Token::LParen | Token::RParen => {}
                Token::Eq | Token::Lt | Token::LtEq | Token::Gt | Token::Plus | Token::Mul => {}
                // For example, `::`, JSON operators and regular expression operators.
                other => panic!("`{other}` is not in the subset: {sql}"),
            }
        }
    }
    let allowed = [KEYWORDS, TYPES, FUNCTIONS, SYSTEM, NAMES].concat();
    let allowed: BTreeSet<String> = allowed.into_iter().map(str::to_owned).collect();
    assert_eq!(
        found.difference(&allowed).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "words that are not in the lists"
    );
    assert_eq!(allowed.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "words that are not used");
}

#[test]
fn each_call_is_one_statement_that_changes_no_session() {
    for sql in statements() {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
        let [statement] = parsed.as_slice() else { panic!("{sql}") };
        assert!(
            matches!(
                statement,
                Statement::Query { .. }
                    | Statement::Insert { .. }
                    | Statement::Update { .. }
                    | Statement::Delete { .. }
            ),
            "{sql}"
        );
    }
    for migration in PostgresStore::migrations(SCHEMA).unwrap() {
        for statement in Parser::parse_sql(&PostgreSqlDialect {}, &migration.sql).unwrap() {
            assert!(
                matches!(
                    statement,
                    Statement::CreateSchema { .. }
                        | Statement::CreateTable { .. }
                        | Statement::CreateIndex { .. }
                        | Statement::Insert { .. }
                ),
                "{statement}"
            );
        }
    }
}
