// The text pane: CodeMirror in a shadow root, where its styles are constructed
// sheets and need no inline style. Problems are marks of our own; the lint
// package draws them with data: images, which the content policy refuses.

import { EditorState, RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, drawSelection, EditorView, gutter, GutterMarker, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { yamlLanguage } from "@codemirror/lang-yaml";
import { search, searchKeymap } from "@codemirror/search";
import { autocompletion, completionKeymap, type CompletionContext } from "@codemirror/autocomplete";
import { tags } from "@lezer/highlight";

export interface Mark { line: number; col: number; kind: "error" | "warning" | "untested" | "here" | "path"; text: string }

export interface Code {
  show(text: string, readOnly: boolean, label: string): void;
  marks(list: Mark[]): void;
  go(line: number, col?: number): void;
  paste(below: number, text: string): void;
  text(): string;
  close(): void;
}

const VERBS = ["say", "ask", "choose", "confirm", "tell", "language", "check", "identify", "verify", "reach", "callback", "approve", "if", "go", "run", "return", "release", "connect", "alert", "hangup"];
const SETTINGS = ["into", "tries", "wait", "whole", "by", "say", "for", "to", "with", "meanwhile", "then", "at_most", "lock"];
const OUTCOMES = ["wrong", "silent", "missing", "refused", "denied", "busy", "diverted", "down", "later", "closed", "full", "not_found"];

// complete offers verbs after a dash, scenes after a colon, and settings and
// outcomes elsewhere. What is right is for the server to say.
function complete(at: CompletionContext) {
  const line = at.state.doc.lineAt(at.pos);
  const before = line.text.slice(0, at.pos - line.from);
  const word = at.matchBefore(/[\w]*/);
  if (!word || (word.from === word.to && !at.explicit)) return null;
  const make = (list: string[], type: string, tail = "") => list.map((label) => ({ label, type, apply: label + tail }));
  if (/^\s*-\s+\w*$/.test(before)) return { from: word.from, options: make(VERBS, "keyword", ": ") };
  if (/^\s*(- )?\S+:\s+\w*$/.test(before)) {
    const scenes = [...at.state.doc.toString().matchAll(/^ {2}(\w+):\s*(?:#.*)?$/gm)].map((m) => m[1]!);
    return { from: word.from, options: make([...new Set(scenes)], "variable") };
  }
  if (/^\s+\w*$/.test(before)) return { from: word.from, options: [...make(SETTINGS, "property", ": "), ...make(OUTCOMES, "constant", ": ")] };
  return null;
}

const setMarks = StateEffect.define<Mark[]>();

class Dot extends GutterMarker {
  constructor(readonly kind: string, readonly says: string) { super(); }
  override eq(other: Dot) { return other.kind === this.kind && other.says === this.says; }
  override toDOM() {
    const e = document.createElement("span");
    e.className = `dot ${this.kind}`;
    e.title = this.says;
    return e;
  }
}

interface Marked { list: Mark[]; text: DecorationSet }

const marked = StateField.define<Marked>({
  create: () => ({ list: [], text: Decoration.none }),
  update(value, tr) {
    for (const e of tr.effects) if (e.is(setMarks)) return { list: e.value, text: decorate(tr.state, e.value) };
    return tr.docChanged ? { list: value.list, text: value.text.map(tr.changes) } : value;
  },
  provide: (f) => EditorView.decorations.from(f, (v) => v.text),
});

function decorate(state: EditorState, list: Mark[]) {
  const ranges = [];
  for (const m of list) {
    if (m.line < 1 || m.line > state.doc.lines) continue;
    const line = state.doc.line(m.line);
    if (m.kind === "here" || m.kind === "path") {
      ranges.push(Decoration.line({ class: m.kind }).range(line.from));
    } else if (m.kind !== "untested") {
      const from = Math.min(line.from + Math.max(0, m.col - 1), line.to);
      const rest = line.text.slice(from - line.from);
      const to = Math.max(from + (/^[^\s:]+|^\S+/.exec(rest)?.[0].length ?? 0), Math.min(from + 1, line.to));
      if (to > from) ranges.push(Decoration.mark({ class: m.kind }).range(from, to));
    }
  }
  return Decoration.set(ranges, true);
}

const dots = gutter({
  class: "dots",
  markers(view) {
    const set = new RangeSetBuilder<GutterMarker>();
    const worst = new Map<number, Mark>();
    for (const m of view.state.field(marked).list) {
      if (m.kind === "here" || m.kind === "path" || m.line < 1 || m.line > view.state.doc.lines) continue;
      if (!worst.has(m.line) || m.kind === "error") worst.set(m.line, m);
    }
    for (const [line, m] of [...worst].sort((a, b) => a[0] - b[0])) {
      const at = view.state.doc.line(line).from;
      set.add(at, at, new Dot(m.kind, m.text));
    }
    return set.finish();
  },
  initialSpacer: () => new Dot("warning", ""),
});

const tips = hoverTooltip((view, pos) => {
  const line = view.state.doc.lineAt(pos);
  const found = view.state.field(marked).list.filter((m) => m.line === line.number && m.text && m.kind !== "here" && m.kind !== "path");
  if (!found.length) return null;
  return {
    pos: line.from, above: true,
    create() {
      const dom = document.createElement("div");
      for (const m of found) dom.appendChild(Object.assign(document.createElement("p"), { textContent: m.text }));
      return { dom };
    },
  };
});

const look = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--panel)", color: "var(--ink)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: 'ui-monospace, "Liberation Mono", monospace', lineHeight: "20px" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--ink2)", border: "0" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)" },
  ".error": { textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".warning": { textDecoration: "underline wavy var(--warn)", textUnderlineOffset: "3px" },
  ".here": { backgroundColor: "var(--ok-bg)" },
  ".path": { backgroundColor: "var(--warn-bg)" },
  ".dots": { width: "14px" },
  ".dot": { display: "inline-block", width: "8px", height: "8px", margin: "6px 3px 0", borderRadius: "99px" },
  ".dot.error": { background: "var(--bad)", textDecoration: "none" },
  ".dot.warning": { background: "var(--warn)", textDecoration: "none" },
  ".dot.untested": { border: "2px solid var(--warn)" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--ink)", border: "1px solid var(--edge)", borderRadius: "8px", padding: "4px 8px", maxWidth: "480px", font: "13px/18px system-ui, sans-serif" },
  ".cm-tooltip p": { margin: "2px 0" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--ink)" },
  ".cm-panels input, .cm-panels button": { background: "var(--panel)", color: "var(--ink)", border: "1px solid var(--edge)", borderRadius: "8px", backgroundImage: "none" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-bg)" },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--ink2)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--ink2)" },
]);

// mount puts a text pane into an element. changed is told of every change,
// moved of the line on which the cursor stands.
export function mount(host: HTMLElement, changed: (text: string) => void, moved: (line: number) => void): Code {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const box = root.appendChild(document.createElement("div"));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(":host { display: block; height: 100%; } div { height: 100%; }".replace(" div {", " :host > div {"));
  root.adoptedStyleSheets = [sheet];
  box.style.height = "100%";
  let quiet = false;
  const state = (text: string, readOnly: boolean, label: string) => EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(), dots, marked, tips, history(), drawSelection(), highlightActiveLine(), search(), look, yamlLanguage,
      syntaxHighlighting(colours), indentUnit.of("  "), EditorState.tabSize.of(2), autocompletion({ override: [complete], icons: false }),
      keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, ...searchKeymap]),
      EditorState.readOnly.of(readOnly), EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", "aria-readonly": String(readOnly), tabindex: "0" }),
      EditorView.updateListener.of((u) => {
        if (u.docChanged && !quiet) changed(u.state.doc.toString());
        if (u.selectionSet || u.docChanged) moved(u.state.doc.lineAt(u.state.selection.main.head).number);
      }),
    ],
  });
  const view = new EditorView({ state: state("", true, "Text"), parent: box, root });
  return {
    show(text, readOnly, label) {
      quiet = true;
      view.setState(state(text, readOnly, label));
      quiet = false;
    },
    marks(list) { view.dispatch({ effects: setMarks.of(list) }); },
    go(line, col = 1) {
      const at = view.state.doc.line(Math.min(Math.max(1, line), view.state.doc.lines));
      const pos = Math.min(at.from + col - 1, at.to);
      view.dispatch({ selection: { anchor: pos }, effects: EditorView.scrollIntoView(pos, { y: "center" }) });
      view.focus();
    },
    paste(below, text) {
      const at = view.state.doc.line(Math.min(Math.max(1, below), view.state.doc.lines));
      const indent = /^\s*(- )?/.exec(at.text)![0].replace("-", " ");
      const lead = text.startsWith("- ") ? indent.slice(2) : indent;
      const insert = "\n" + text.split("\\n").join("\n").split("\n").map((l) => lead + l).join("\n");
      view.dispatch({ changes: { from: at.to, insert }, selection: { anchor: at.to + insert.length } });
      view.focus();
    },
    text: () => view.state.doc.toString(),
    close() { view.destroy(); },
  };
}
