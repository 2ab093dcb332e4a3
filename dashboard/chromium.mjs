// Unpacks the Chromium that npm brought, and says where it is, for tests and screenshots.

process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs20.x"; // makes the package unpack its libraries too

const { default: chromium } = await import("@sparticuz/chromium");

const path = await chromium.executablePath();
const names = ["LD_LIBRARY_PATH", "FONTCONFIG_PATH"];
const env = Object.fromEntries(names.flatMap((n) => (process.env[n] ? [[n, process.env[n]]] : [])));
console.log(JSON.stringify({ path, env }));
