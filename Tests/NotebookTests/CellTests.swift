import Notebook
import Support
import Testing

@Suite struct CellTests {
  private func script(_ text: String) -> Script { Script(SourceFile(name: "test.nn", text: text)) }

  @Test func aScriptWithoutMarkersIsOneCell() {
    let cells = script("a = 1\n\nb = 2\n").cells
    #expect(cells.map(\.lines) == [1..<5])
    #expect(cells[0].kind == .code && cells[0].markerLine == nil)
  }

  @Test func markersHaveTitlesAndTags() {
    #expect(CellMarker("# %%")?.title == "")
    #expect(CellMarker("#%% a  title")?.title == "a title")
    #expect(CellMarker("# %% [markdown]")?.kind == .prose)
    #expect(CellMarker("# %% More [markdown]")?.title == "More")
    for line in ["", "#", "# %", "x # %%", "## %%", "# %%%", " # %%", "# %%x"] {
      #expect(CellMarker(line) == nil, "\(line)")
    }
  }

  @Test func codeEndsProse() {
    let script = script("# %% [markdown]\n# Words.\n\nx = 1\n# %%\nx\n")
    #expect(script.cells.map(\.kind) == [.prose, .code, .code])
    #expect(script.cells.map(\.lines) == [2..<4, 4..<5, 6..<8])
    #expect(script.prose(of: script.cells[0]) == ["Words."])
  }

  @Test func aCommentInsideAStatementBeginsNoCell() {
    #expect(script("f = fn() {\n# %% no\n  1\n}\n").cells.count == 1)
  }

  @Test func codeIsCutBelowWhatIsShown() {
    let script = script("# a\nx = 1\n\nx\n#> 1\n# b\ny = 2\n")
    let parts = script.parts(of: script.cells[0]) { $0 == 1 }
    #expect(parts.map(\.lines) == [[1, 2, 3, 4], [6, 7]])
    #expect(parts.map(\.entry) == [1, nil])
  }

  // MARK: - Changes

  private func change(_ old: String, _ new: String) -> Int? { script(new).firstChange(from: script(old)) }

  @Test(arguments: [
    "# other words\nx = 1 # here\nf(x,\n  2)\n#> 8\n", "x=1; f(x, 2)", "x = 1\n\n\nf(x, 2)\n#~ 1\n", "# %% Cell\nx = 1\nf(x, 2)\n",
  ])
  func whatMeansTheSameIsNoChange(text: String) {
    // Statements on one line are one entry; the second text has one less.
    let expected: Int? = text.contains(";") ? 0 : nil
    #expect(change("x = 1\nf(x, 2)\n", text) == expected)
  }

  @Test func theFirstChangeIsFound() {
    #expect(change("a\nb\nc", "a\nb\nc\nd") == 3)
    #expect(change("a\nb\nc", "a\nb") == 2)
    #expect(change("a\nb\nc", "a\nx\nb\nc") == 1)
    #expect(change("a\nb", "a;\nb") == 0)
    #expect(change("\"x\"", "\"y\"") == 0)
    #expect(change("1.0", "1") == 0)
    // After an expected error the script goes on.
    #expect(change("a\nb", "a\n#! error[c]\nb") == 0)
    #expect(change("a\n#! error[c]: one\nb", "a\n#! error[c]: two\nb") == nil)
    #expect(change("a\nb = = 2", "a\nb = = 3") == 1)
  }

  @Test func runsBeginAtCellsOrAnywhereWithoutThem() {
    #expect(script("a\nb\nc\n").borders == [0, 1, 2])
    #expect(script("# %%\na\nb\n# %% [markdown]\n# p\n# %%\n# %%\nc\n").borders == [0, 2])
    #expect(script("a\n# %%\nb\nc\n").borders == [0, 1])
  }

  @Test func useIsFound() {
    #expect(script("a\nuse \"b.nn\"\nc").firstUse == 1)
    #expect(script("a").firstUse == nil)
  }
}

@Suite struct ProseTests {
  private func html(_ text: String) -> String {
    var renderer = ProseRenderer()
    return renderer.html(text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
  }

  @Test(arguments: [
    ("a\nb", "<p>a\nb</p>"), ("# A `b`", "<h1 id=\"s1\">A <code>b</code></h1>"), ("#no", "<p>#no</p>"),
    ("*a* **b** _c_ a_b_c 2*3*4", "<p><em>a</em> <strong>b</strong> <em>c</em> a_b_c 2<em>3</em>4</p>"),
    ("`a<b`, ``x`y``", "<p><code>a&lt;b</code>, <code>x`y</code></p>"), ("a * b * c", "<p>a * b * c</p>"),
    ("[a](b.html#c)", "<p><a href=\"b.html#c\">a</a></p>"), ("[a](JavaScript:b)", "<p>[a](JavaScript:b)</p>"),
    ("[a](data:x)", "<p>[a](data:x)</p>"), ("<https://a.b>", "<p><a href=\"https://a.b\">https://a.b</a></p>"),
    ("<b>", "<p>&lt;b&gt;</p>"), ("\\*a\\*", "<p>*a*</p>"), ("---", "<hr>"), ("> a\n> b", "<blockquote>\n<p>a\nb</p>\n</blockquote>"),
    ("- a\n- b\n  c", "<ul>\n<li>a</li>\n<li>b\nc</li>\n</ul>"), ("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>"),
    ("```\n<a>\n```", "<pre class=\"sample\"><code>&lt;a&gt;</code></pre>"),
    ("|a|b|\n|--|-:|\n|1|2|", "<table>\n<thead><tr><th>a</th><th class=\"right\">b</th></tr></thead>\n<tbody>\n<tr><td>1</td><td class=\"right\">2</td></tr>\n</tbody>\n</table>"),
    ("**open", "<p>**open</p>"), ("`open", "<p>`open</p>"), ("", ""),
  ])
  func prose(text: String, expected: String) { #expect(html(text) == expected) }

  @Test func nothingNestsForEver() {
    for text in [String(repeating: "> ", count: 5000), String(repeating: "1. ", count: 5000), String(repeating: "[", count: 5000)] {
      #expect(html(text).contains("p>") || html(text).contains("li>"))
    }
  }
}
