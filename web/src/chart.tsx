// Small charts as SVG: no library, one colour, and the figures beside them as
// text for whoever does not see them.

const W = 200, H = 48;

// Line draws values over time with a limit; what crosses it is marked.
export function Line({ name, title, says, values, most, limit, below }: { name: string; title: string; says: string; values: number[]; most: number; limit: number; below?: boolean }) {
  const top = Math.max(most, ...values);
  const x = (i: number) => (values.length < 2 ? W / 2 : 2 + (i * (W - 4)) / (values.length - 1));
  const y = (v: number) => H - 2 - (v / top) * (H - 4);
  const crossed = (v: number) => (below ? v > 0 && v < limit : v > limit);
  return (
    <figure class="spark">
      <figcaption>{title} <strong>{says}</strong></figcaption>
      <svg viewBox={`0 0 ${W} ${H}`} preserveAspectRatio="none" role="img" aria-label={`${name}: ${says} over all; ${values.filter(crossed).length} of ${values.length} stretches are ${below ? "under" : "over"} ${limit}`}>
        <line class="limit" x1={0} x2={W} y1={y(limit)} y2={y(limit)} />
        <polyline class="value" points={values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ")} />
        {values.map((v, i) => crossed(v) && <line class="over" x1={x(i)} x2={x(i)} y1={y(v) - 3} y2={y(v) + 3} />)}
      </svg>
    </figure>
  );
}

// Bars draws one bar a step of time.
export function Bars({ title, values, labels, how }: { title: string; values: number[]; labels: string[]; how: "ok" | "warn" | "bad" | "plain" }) {
  const most = Math.max(1, ...values), all = values.reduce((n, v) => n + v, 0), step = 240 / values.length;
  const peak = values.indexOf(most);
  return (
    <figure class={`bars ${how}`}>
      <figcaption>{title} <strong>{all.toLocaleString("en")}</strong></figcaption>
      <svg viewBox="0 0 240 72" preserveAspectRatio="none" role="img" aria-label={`${title}: ${all} in all${all ? `, most in ${labels[peak]}: ${most}` : ""}`}>
        <line class="ground" x1={0} x2={240} y1={71.5} y2={71.5} />
        {values.map((v, i) => v > 0 && <rect x={i * step + step * 0.12} width={step * 0.76} y={71 - (v / most) * 66} height={(v / most) * 66} />)}
      </svg>
      <p class="axis" aria-hidden="true"><span>{labels[0]}</span><span>{labels.at(-1)}</span></p>
    </figure>
  );
}

// Share draws a horizontal bar of parts of a whole.
export function Share({ name, parts }: { name: string; parts: { says: string; n: number; how: "ok" | "warn" | "bad" | "plain" | "none" }[] }) {
  const all = parts.reduce((n, p) => n + p.n, 0);
  let left = 0;
  return (
    <svg class="share" viewBox="0 0 240 12" preserveAspectRatio="none" role="img" aria-label={`${name}: ${parts.filter((p) => p.n).map((p) => `${p.says} ${p.n}`).join(", ") || "none"}`}>
      <rect class="none" x={0} y={0} width={240} height={12} />
      {all > 0 && parts.map((p) => {
        const w = (p.n / all) * 240, x = left;
        left += w;
        return p.n > 0 && <rect class={p.how} x={x} y={0} width={Math.max(0.5, w - 0.8)} height={12} />;
      })}
    </svg>
  );
}
