//! Tests `cargo xtask import` with pages in the format that Flinks publishes.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::fs;
use std::path::{Path, PathBuf};

use xtask::Product;
use xtask::maintain::import::{Options, Report, import};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A project without documents, and a separate folder for pages.
struct Project {
    root: tempfile::TempDir,
    pages: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), pages: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.pages.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, files: &[PathBuf]) -> xtask::Result<Report> {
        self.import_on("2026-11-21", files)
    }

    fn import_on(&self, day: &str, files: &[PathBuf]) -> xtask::Result<Report> {
        import(self.root.path(), &Options { files: files.to_vec(), product: None, retrieved: day.into() })
    }

    fn document(&self, product: Product) -> String {
        fs::read_to_string(self.root.path().join(product.document())).unwrap()
    }

    fn sources(&self) -> String {
        fs::read_to_string(self.root.path().join("openapi/sources.toml")).unwrap()
    }

    /// Imports files and returns the error message. Asserts that the import changed no file.
    fn refused(&self, files: &[PathBuf]) -> String {
        let before = self.all();
        let error = self.import(files).unwrap_err().to_string();
        assert_eq!(self.all(), before, "{error}");
        error
    }

    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(folder) = fs::read_dir(self.root.path().join("openapi")) else { return Vec::new() };
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

/// Creates a documentation page that embeds `slice`, in the format of the pages that Flinks
/// publishes.
fn page(info: &str, slice: &str) -> String {
    format!(
        "> ## Documentation Index\n> Fetch it.\n\n# /Title\n\n```json theme={{null}}\n{{\"openapi\": false}}\n```\n\n\
         ## OpenAPI\n\n````yaml {info}\n{slice}\n````"
    )
}

fn published(product: Product) -> String {
    fs::read_to_string(Path::new(ROOT).join(product.document())).unwrap()
}

/// Creates a slice of the Outbound document with a `get` operation for each path. Each path is
/// paired with the lines below its `get`.
fn slice(paths: &[(&str, &str)], rest: &str) -> String {
    let paths: String = paths.iter().map(|(path, lines)| format!("  {path}:\n    get:\n{lines}")).collect();
    format!("openapi: 3.0.3\ninfo:\n  title: Flinks Outbound\n  version: 3.0.0\npaths:\n{paths}{rest}")
}

#[test]
fn the_published_pages_reproduce_our_documents() {
    let project = Project::new();
    let files = [
        project.file("guide.md", "# A guide\n\nNo block.\n\n```bash\ncurl openapi\n```\n"),
        project.file("pay.md", page("/openapi-pay.yaml POST /api/v1/authorize", &published(Product::Pay))),
        project.file("connect.md", page("POST /v3/x", &published(Product::Connect)).replace('\n', "\r\n")),
        project
            .file("outbound.md", page("/openapi-outbound-auth.yaml POST /api/v1/token", &published(Product::Outbound))),
    ];
    let report = project.import(&files).unwrap();
    assert_eq!(report.changed, Product::ALL);
    assert!(
        report.lines.iter().any(|line| line.contains("guide.md: contains no OpenAPI document")),
        "{:?}",
        report.lines
    );
    for product in Product::ALL {
        assert!(project.document(product) == published(product), "{product:?}");
    }
    // The sources match ours except for the addresses, which the pages do not contain.
    let without_addresses = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("page = "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let ours = fs::read_to_string(Path::new(ROOT).join("openapi/sources.toml")).unwrap();
    assert_eq!(without_addresses(&project.sources()), without_addresses(&ours));

    // Importing the same pages again on another date changes nothing.
    let before = project.all();
    let report = project.import_on("2027-01-01", &files).unwrap();
    assert_eq!(report.changed, []);
    assert_eq!(project.all(), before);
}

#[test]
fn an_operation_is_replaced_and_every_other_byte_stays() {
    let project = Project::new();
    let first = slice(
        &[
            ("/a", "      summary: >-\n        Folded\n        text.\n      responses: {}\n"),
            ("/b", "      # why\n      responses:\n        '200': {description: \"old\"}\n"),
            ("/c", "      responses: {}\n"),
        ],
        "# the end\n",
    );
    project.import(&[project.file("all.yaml", &first)]).unwrap();
    let new = slice(&[("/b", "      responses:\n        '200':\n          description: new\n")], "");
    let report = project.import(&[project.file("b.md", page("/openapi-outbound.yaml", &new))]).unwrap();
    assert_eq!(report.changed, [Product::Outbound]);
    assert!(report.lines.iter().any(|line| line.contains("replaces GET /b (")), "{:?}", report.lines);
    let expected = first.replace(
        "      # why\n      responses:\n        '200': {description: \"old\"}\n",
        "      responses:\n        '200':\n          description: new\n",
    );
    assert_eq!(project.document(Product::Outbound), expected);
    // Each page is listed with its operations, and an address added by hand is kept.
    let sources = project.sources();
    assert!(sources.contains("operations = [\"GET /a\", \"GET /c\"]"), "{sources}");
    assert!(sources.contains("operations = [\"GET /b\"]"), "{sources}");
    let path = project.root.path().join("openapi/sources.toml");
    fs::write(&path, sources.replace("\"b.md\"", "\"https://a.page/b.md\" # kept")).unwrap();
    let newer = new.replace("new", "newer");
    project.import_on("2026-12-01", &[project.file("b.md", page("", &newer))]).unwrap();
    let sources = project.sources();
    assert!(sources.contains("https://a.page/b.md\" # kept"), "{sources}");
    assert!(sources.contains("retrieved = 2026-12-01"), "{sources}");
}

#[test]
fn a_new_operation_is_appended_with_the_parts_that_it_needs() {
    let project = Project::new();
    let first = slice(&[("/z", "      responses: {}\n")], "tags:\n  - name: one\n");
    project.import(&[project.file("z.yaml", &first)]).unwrap();
    let second = slice(
        &[("/a", "      responses: {}\n    parameters: []\n")],
        "tags:\n  - name: two\ncomponents:\n  schemas:\n    S:\n      type: string\n",
    );
    let third = slice(&[("/z", "      responses: {}\n"), ("/b", "      responses: {}\n")], "tags:\n  - name: one\n")
        .replace("/b:\n    get", "/b:\n    put");
    let files = [project.file("a.yaml", &second), project.file("b.yaml", &third)];
    project.import(&files).unwrap();
    let text = project.document(Product::Outbound);
    let added = similar::TextDiff::from_lines(&first, &text);
    assert!(added.iter_all_changes().all(|change| change.tag() != similar::ChangeTag::Delete), "{text}");
    let order: Vec<usize> = ["/z:", "/b:", "/a:", "tags:", "name: one", "name: two", "components:"]
        .iter()
        .map(|part| text.find(part).unwrap())
        .collect();
    assert!(order.is_sorted(), "{text}");
    assert_eq!(fs::read_to_string(project.root.path().join("openapi/flinks-outbound.yaml")).unwrap(), text);
}

#[test]
fn shared_parts_are_replaced_and_reported() {
    let project = Project::new();
    let uses = "      responses:\n        '200':\n          $ref: '#/components/responses/R'\n";
    let shared = |kind: &str| {
        format!(
            "components:\n  responses:\n    R:\n      description: r\n      content:\n        application/json:\n          schema:\n            \
             $ref: '#/components/schemas/S'\n  schemas:\n    S:\n      type: {kind}\n    T:\n      type: object\n"
        )
    };
    project.import(&[project.file("one.yaml", slice(&[("/a", uses), ("/b", uses)], &shared("object")))]).unwrap();
    let new = slice(&[("/b", uses)], &shared("string")).replace("version: 3.0.0", "version: 3.1.0");
    let report = project.import(&[project.file("two.yaml", new)]).unwrap().lines.join("\n");
    assert!(report.contains("replaces `info`"), "{report}");
    assert!(report.contains("replaces `components/schemas/S`"), "{report}");
    assert!(!report.contains("schemas/T"), "{report}");
    assert!(!report.contains("GET /b"), "{report}");
    let text = project.document(Product::Outbound);
    assert!(text.contains("    S:\n      type: string\n    T:\n"), "{text}");
    assert!(text.contains("version: 3.1.0"), "{text}");
    assert!(project.sources().contains("version = \"3.1.0\""));
}

#[test]
fn pages_that_are_imported_together_must_agree() {
    let project = Project::new();
    let one =
        project.file("one.yaml", slice(&[("/a", "      responses: {}\n")], "servers:\n  - url: https://{host}\n"));
    for (name, text, at) in [
        ("info.yaml", slice(&[("/b", "      responses: {}\n")], "").replace("3.0.0", "4.0.0"), "/info"),
        ("servers.yaml", slice(&[("/b", "      responses: {}\n")], "servers: []\n"), "/servers"),
        ("same.yaml", slice(&[("/a", "      responses: {'200': {}}\n")], ""), "/paths/~1a/get"),
    ] {
        let error = project.refused(&[one.clone(), project.file(name, text)]);
        assert!(error.contains("one.yaml"), "{error}");
        assert!(error.contains(name), "{error}");
        assert!(error.contains(&format!("at: {at}\n")), "{error}");
    }
}

#[test]
fn the_order_of_the_files_does_not_matter() {
    let shared = "components:\n  schemas:\n    Gone:\n      type: string\n";
    let texts: Vec<String> = [["one", "two"], ["two", "one"]]
        .iter()
        .map(|order| {
            let project = Project::new();
            project.import(&[project.file("old.yaml", slice(&[("/one", "      responses: {}\n")], shared))]).unwrap();
            let files = order.map(|name| {
                project.file(&format!("{name}.yaml"), slice(&[(&format!("/{name}"), "      responses: {}\n")], ""))
            });
            let report = project.import(&files).unwrap().lines.join("\n");
            assert!(report.contains("removes `components/schemas/Gone`"), "{report}");
            project.document(Product::Outbound)
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
    assert!(!texts[0].contains("Gone"), "{}", texts[0]);
    assert!(texts[0].find("/one").unwrap() < texts[0].find("/two").unwrap(), "{}", texts[0]);
}

#[test]
fn a_page_replaces_the_entry_of_another_page_in_the_sources() {
    let project = Project::new();
    let both = slice(&[("/a", "      responses: {}\n"), ("/b", "      responses: {}\n")], "");
    let one = slice(&[("/a", "      responses: {'200': {}}\n")], "");
    for (name, text) in [("both.yaml", &both), ("one.yaml", &one), ("both.yaml", &both)] {
        project.import(&[project.file(name, text)]).unwrap();
    }
    assert_eq!(project.document(Product::Outbound), both);
    let sources = project.sources();
    assert!(sources.contains("operations = [\"GET /a\", \"GET /b\"]"), "{sources}");
    assert!(!sources.contains("one.yaml"), "{sources}");
}

#[test]
fn blocks_that_only_mention_openapi_are_ignored() {
    let project = Project::new();
    let prose = "```bash\nopenapi-generator generate -i \"a: {\" -g rust\n```\n\n```yaml\nopenapi: 3.0.3\ninfo: {title: t}\n```\n\n";
    let text = format!("{prose}{}", page("/openapi-pay.yaml", &published(Product::Pay)));
    project.import(&[project.file("p.md", text)]).unwrap();
    assert_eq!(project.document(Product::Pay), published(Product::Pay));
}

#[test]
fn an_unsupported_layout_is_reserialized_with_the_same_meaning() {
    let project = Project::new();
    let first = r#"{"openapi": "3.0.3", "info": {"title": "Outbound", "version": "on"}, "paths": {"/a": {"get": {"responses": {"200": {"description": "yes: no"}}}}}}"#;
    project.import(&[project.file("a.json", first)]).unwrap();
    assert_eq!(project.document(Product::Outbound), format!("{first}\n"));
    let second = slice(&[("/b", "      responses:\n        '4XX': {description: '~'}\n")], "")
        .replace("Flinks Outbound", "Outbound");
    let report = project.import(&[project.file("b.yaml", &second)]).unwrap().lines.join("\n");
    assert!(report.contains("re-serialized"), "{report}");
    let value = xtask::spec::read::yaml(project.document(Product::Outbound).as_bytes()).unwrap();
    assert_eq!(value["paths"]["/a"]["get"]["responses"]["200"]["description"], "yes: no");
    assert_eq!(value["paths"]["/b"]["get"]["responses"]["4XX"]["description"], "~");
}

#[test]
fn an_anchor_of_a_page_does_not_change_other_operations() {
    let project = Project::new();
    let with = |anchor: &str, text: &str| format!("      responses:\n        '200': {anchor}{text}\n");
    let first = slice(&[("/a", &with("&ok ", "{description: old}")), ("/b", &with("*ok", ""))], "");
    project.import(&[project.file("first.yaml", &first)]).unwrap();
    let second = slice(&[("/a", &with("&ok ", "{description: new}"))], "");
    let report = project.import(&[project.file("second.yaml", second)]).unwrap().lines.join("\n");
    assert!(report.contains("re-serialized"), "{report}");
    let value = xtask::spec::read::yaml(project.document(Product::Outbound).as_bytes()).unwrap();
    let described = ["/a", "/b"].map(|path| value["paths"][path]["get"]["responses"]["200"]["description"].clone());
    assert_eq!(described, ["new", "old"]);
}

#[test]
fn the_product_is_found_by_name_server_title_operations_or_option() {
    let bare =
        "openapi: 3.0.3\ninfo: {title: Flinks API, version: '1'}\npaths:\n  /x:\n    get:\n      responses: {}\n";
    let project = Project::new();
    let unknown = project.file("x.md", page("GET /x", bare));
    assert!(project.refused(std::slice::from_ref(&unknown)).contains("--product"));
    let both = bare.replace("Flinks API", "Connect and Pay");
    assert!(project.refused(&[project.file("both.yaml", both)]).contains("several products: pay, connect"));
    // "Payments" does not match the word "pay".
    assert!(
        project.refused(&[project.file("other.yaml", bare.replace("Flinks API", "Payments"))]).contains("--product")
    );

    let options =
        Options { files: vec![unknown.clone()], product: Some(Product::Connect), retrieved: "2026-11-21".into() };
    assert_eq!(import(project.root.path(), &options).unwrap().changed, [Product::Connect]);
    // The first import added the operation, which now identifies the product.
    let again = project.file("x.md", page("GET /x", &bare.replace("{}", "{'200': {}}")));
    assert_eq!(project.import(&[again]).unwrap().changed, [Product::Connect]);
    let by_server = bare.replace("paths:", "servers: [{url: 'https://www.{baseurl}.com'}]\npaths:");
    assert_eq!(project.import(&[project.file("s.yaml", by_server)]).unwrap().changed, [Product::Pay]);
}

#[test]
fn input_that_cannot_be_imported_is_one_located_error() {
    let project = Project::new();
    let good = project.file("good.yaml", published(Product::Pay));
    for (file, part) in [
        (project.pages.path().join("gone.md"), "failed to read the file"),
        (project.pages.path().to_owned(), "failed to read the file"),
        (project.file("bytes.md", b"\xff\xfe"), "invalid UTF-8"),
        (project.file("broken.md", page("", "openapi: 3.0.3\n  x: [")), "starts on line 12"),
        (
            project.file("cut.md", page("/openapi-pay.yaml", &published(Product::Pay)).trim_end_matches('`')),
            "line 12 is not closed",
        ),
        (
            project.file("version.yaml", "openapi: 3.0.3\ninfo: {version: 3.1}\npaths: {/x: {get: {}}}\n"),
            "put the version in quotes",
        ),
        (project.file("list.yaml", "- 1\n"), "the version is (missing)"),
        (project.file("empty.yaml", ""), "the version is (missing)"),
        (project.file("old.md", page("", "swagger: '2.0'\npaths: {}")), "not an OpenAPI 3.0 document"),
        (project.file("new.json", r#"{"openapi": "3.1.0", "paths": {"/x": {"get": {}}}}"#), "the version is 3.1.0"),
        (project.file("none.yaml", "openapi: 3.0.3\npaths: {}\n"), "the document has no operations"),
        (project.file("item.yaml", "openapi: 3.0.3\npaths: {/x: [1]}\n"), "the path item is not an object"),
    ] {
        let error = project.refused(&[good.clone(), file.clone()]);
        assert!(error.contains(part), "{part}: {error}");
        assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{part}: {error}");
    }
    let day = project.import_on("yesterday", std::slice::from_ref(&good)).unwrap_err().to_string();
    assert!(day.contains("yesterday"), "{day}");
    fs::create_dir_all(project.root.path().join("openapi")).unwrap();
    for text in ["[", "flinks-pay = 7\n", "[flinks-pay]\nslices = 1\n"] {
        fs::write(project.root.path().join("openapi/sources.toml"), text).unwrap();
        assert!(project.refused(std::slice::from_ref(&good)).contains("sources.toml"), "{text}");
    }
}
