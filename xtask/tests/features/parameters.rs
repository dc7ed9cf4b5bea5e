//! Lists and objects in paths, queries and headers, and parameters with unusual names.

use flinks_core::ErrorKind;

use super::generated::types::{
    BalanceSchema, Filter, ListTransactionsKindsItem, ListTransactionsPage, ListTransactionsSort, Period,
};
use super::server::{Server, json, response};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn each_style_arrives_as_the_document_describes() {
    let server = Server::start().await;
    let client = server.client();
    let accounts = texts(&["a/b", "c,d"]);
    let (period, window) = (Period::new("2026-01-01", "é&?"), Period::new("1", "2"));
    let (tags, categories) = (texts(&["a b", "c&d", "é"]), texts(&["x,y", "z"]));
    let (branches, scopes) = (texts(&["1|2", "3"]), texts(&["accounts:read", "a/b c"]));
    let filter = Filter::new().payee("J&J, Ltd").min(5);
    let page = ListTransactionsPage::new().limit(10).cursor("a+b=c");
    let sort = ListTransactionsSort::new().by("date,amount").order("asc");
    let call = client
        .list_transactions(&accounts, &period, &tags)
        .category(&categories)
        .kinds(&[ListTransactionsKindsItem::Debit, ListTransactionsKindsItem::Credit])
        .branch(&branches)
        .amounts(&[1, -2])
        .rates(&[0.1])
        .filter(&filter)
        .page(&page)
        .sort(&sort)
        .note("a b&c")
        .x_scopes(&scopes)
        .x_window(&window)
        .send();
    let (request, outcome) = server.exchange(&response(204, "", ""), call).await;
    outcome.unwrap();
    let target = request.line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap();
    assert_eq!(path, "/accounts/a%2Fb,c%2Cd/transactions/from=2026-01-01,to=%C3%A9%26%3F");
    let pairs: Vec<&str> = query.split('&').collect();
    assert_eq!(
        pairs,
        [
            "amounts=1%7C-2",
            "branch=1%7C2%203",
            "category=x%2Cy,z",
            "filter%5Bmin%5D=5",
            "filter%5Bpayee%5D=J%26J%2C%20Ltd",
            "kinds=debit,credit",
            "cursor=a%2Bb%3Dc",
            "limit=10",
            "rates=0.1",
            "sort=by,date%2Camount,order,asc",
            "tag=a%20b",
            "tag=c%26d",
            "tag=%C3%A9",
            "note=a+b%26c",
        ]
    );
    assert_eq!(request.header("x-scopes"), ["accounts:read,a/b c"]);
    assert_eq!(request.header("x-window"), ["from=1,to=2"]);
}

#[tokio::test]
async fn empty_and_absent_values_are_left_out() {
    let server = Server::start().await;
    let client = server.client();
    let (accounts, period) = (texts(&["1"]), Period::new("a", "b"));
    let empty = response(204, "", "");

    let (request, _) = server.exchange(&empty, client.list_transactions(&accounts, &period, &[]).send()).await;
    assert_eq!(request.line, "GET /accounts/1/transactions/from=a,to=b HTTP/1.1");
    assert_eq!(request.header_names(), Vec::<&str>::new());

    let filter = Filter::new();
    let call = client.list_transactions(&accounts, &period, &[]).category(&[]).filter(&filter).amounts(&[]).send();
    let (request, _) = server.exchange(&empty, call).await;
    assert_eq!(request.line, "GET /accounts/1/transactions/from=a,to=b HTTP/1.1");
}

#[tokio::test]
async fn a_value_that_cannot_be_written_is_not_sent() {
    let server = Server::start().await;
    let client = server.client();
    let (accounts, period) = (texts(&["1"]), Period::new("a", "b"));
    let nested = Filter::new().anything(flinks_core::generated::serde_json::json!([1]));
    // A space in an entry of this list, or a comma in an entry in a header, would look like a
    // separator.
    let space = texts(&["1 2"]);
    let (comma, accent) = (texts(&["a,b"]), texts(&["é"]));
    let call = || client.list_transactions(&accounts, &period, &[]);
    for (call, field) in [
        (call().filter(&nested), "filter"),
        (call().branch(&space), "branch"),
        (call().branch(&accounts).x_scopes(&comma), "X-Scopes"),
        (call().x_scopes(&accent), "X-Scopes"),
        (call().x_scopes(&[]), "X-Scopes"),
        (client.list_transactions(&[], &period, &[]), "account_ids"),
        (client.list_transactions(&texts(&[".."]), &period, &[]), "account_ids"),
    ] {
        let error = call.send().await.unwrap_err();
        let ErrorKind::InvalidRequest(invalid) = error.kind() else { panic!("{error}") };
        assert_eq!(invalid.field(), field);
        assert!(!error.may_have_been_sent(), "{error}");
    }
    server.assert_idle();
}

#[tokio::test]
async fn parameters_named_like_variables_keep_their_wire_names() {
    let server = Server::start().await;
    let client = server.client();
    let body = BalanceSchema::new("CAD");
    let call = client.post_balances_client("c", "https://x.example/?a=b", &body);
    let call = call.body_query("b").request_query("r").from_date("2026-01-01").send();
    let (request, outcome) = server.exchange(&json(r#"{"amount":7}"#), call).await;
    let query = "body=b&filter%5Bfrom.date%5D=2026-01-01&request=r&url=https%3A%2F%2Fx.example%2F%3Fa%3Db";
    assert_eq!(request.line, format!("POST /balances/c?{query} HTTP/1.1"));
    assert_eq!(request.text(), r#"{"currency":"CAD"}"#);
    assert_eq!(outcome.unwrap().amount, 7);
}
