import { render } from "preact";
render(<main><h1>Console</h1></main>, document.getElementById("app")!);
