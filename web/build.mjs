/* SPDX-License-Identifier: Apache-2.0 */
/* build.mjs: TypeScript in, files to embed out. Node >= 18.15 and npm only.
 *
 *   node build.mjs --out DIR [--depfile FILE] [--tests]
 *
 *   DIR/index.html            the page, names the files below
 *   DIR/app.<hash>.js .css    the shell
 *   DIR/uPlot.<hash>.js       loaded beside it
 *   DIR/favicon.svg
 *   DIR/manifest.json         what tools/embed.py turns into web_assets[]
 *   DIR/viewer.html           one file, all inline, with @@WICK_*@@ in it
 *   DIR/test/*.mjs            with --tests: the tests, bundled for node
 *
 * Packages are installed into node_modules beside this file when they are
 * missing or the lock changed. The caller holds a lock (meson.build: flock),
 * so that two build folders do not install at once. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const WEB = dirname(fileURLToPath(import.meta.url));
const TARGET = ['chrome100', 'firefox100', 'safari15.4'];

function fail(message) {
	console.error(`web/build.mjs: ${message}`);
	process.exit(1);
}

function options(argv) {
	const ret = { out: '', depfile: '', tests: false };
	for (let i = 0; i < argv.length; i++) {
		if (argv[i] === '--out') ret.out = resolve(argv[++i] ?? '');
		else if (argv[i] === '--depfile') ret.depfile = resolve(argv[++i] ?? '');
		else if (argv[i] === '--tests') ret.tests = true;
		else fail(`unknown argument ${argv[i]}`);
	}
	if (!ret.out) fail('usage: node build.mjs --out DIR [--depfile FILE] [--tests]');
	return ret;
}

/* `dev` also installs what only tests and lint need. */
function installPackages(dev) {
	const lock = readFileSync(join(WEB, 'package-lock.json'));
	const stampPath = join(WEB, 'node_modules', '.wick-installed');
	const hash = createHash('sha256').update(lock).digest('hex');
	const have = existsSync(stampPath) ? readFileSync(stampPath, 'utf8') : '';
	if (have === `${hash} dev` || (!dev && have === `${hash} build`)) return;
	const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...(dev ? [] : ['--omit=dev'])];
	try {
		execFileSync('npm', args, { cwd: WEB, stdio: ['ignore', 2, 2] });
	} catch (e) {
		if (e.code === 'ENOENT') fail('npm is missing: apt install npm (or nodejs with npm from nodejs.org)');
		fail(`npm ci failed; it needs the npm registry (or a mirror set in ~/.npmrc) once`);
	}
	writeFileSync(stampPath, `${hash} ${dev ? 'dev' : 'build'}`);
}

function hashOf(bytes) {
	return createHash('sha256').update(bytes).digest('hex').slice(0, 12);
}

/* The rows of an X-macro table, each the list of its arguments:
 * `LOSS(ring_full, 1, "lost: ...")` is ["ring_full", 1, "lost: ..."]. */
function defRows(path) {
	const text = readFileSync(path, 'utf8').replace(/\/\*.*?\*\//gs, '');
	const rows = [...text.matchAll(/^[A-Z_]+\(((?:"(?:[^"\\]|\\.)*"|[^"()])*)\)\s*$/gm)].map(([, list]) =>
		[...list.matchAll(/"(?:[^"\\]|\\.)*"|\w+/g)].map(([word]) => (/^["\d]/.test(word) ? JSON.parse(word) : word)));
	const lines = text.split('\n').filter((line) => line.trim()).length;
	if (rows.length !== lines || rows.some((row) => row.length !== rows[0].length)) fail(`${path}: a row is not one line of as many arguments as the others`);
	return rows;
}

const defTables = {
	name: 'def',
	setup: (build) => build.onLoad({ filter: /\.def$/ }, ({ path }) => ({ contents: JSON.stringify(defRows(path)), loader: 'json' })),
};

/* The files one entry becomes: [{ path, text }], and what they were made of. */
async function bundle(esbuild, entry, more) {
	const result = await esbuild.build({
		entryPoints: [join(WEB, entry)],
		bundle: true,
		write: false,
		metafile: true,
		outdir: '/',
		absWorkingDir: WEB,
		target: TARGET,
		jsx: 'automatic',
		jsxImportSource: 'preact',
		charset: 'ascii',
		legalComments: 'none',
		logLevel: 'warning',
		plugins: [defTables],
		...more,
	});
	const files = result.outputFiles.map((f) => ({ path: `/${basename(f.path)}`, text: f.text }));
	return { files, inputs: Object.keys(result.metafile.inputs) };
}

const fileEnding = (built, suffix) => built.files.find((f) => f.path.endsWith(suffix))?.text ?? '';

const CONTENT_TYPE = {
	'.html': 'text/html; charset=utf-8',
	'.js': 'text/javascript; charset=utf-8',
	'.css': 'text/css; charset=utf-8',
	'.svg': 'image/svg+xml',
};

function writePage(out, app) {
	const named = (pattern) => app.files.find((f) => pattern.test(f.path)).path;
	const html = readFileSync(join(WEB, 'src/index.html'), 'utf8')
		.replace('@@JS@@', named(/^\/app\..*\.js$/))
		.replace('@@CHART@@', named(/^\/uPlot.*\.js$/))
		.replace('@@CSS@@', named(/\.css$/));
	for (const old of readdirSync(out)) if (/\.[0-9A-Z]{8}\.(js|css)$/.test(old)) rmSync(join(out, old));
	const assets = [
		{ path: '/', file: 'index.html', text: html },
		...app.files.map((f) => ({ ...f, file: f.path.slice(1) })),
		{ path: '/favicon.svg', file: 'favicon.svg', text: readFileSync(join(WEB, 'src/favicon.svg'), 'utf8') },
	];
	for (const a of assets) writeFileSync(join(out, a.file), a.text);
	const rows = assets.map((a) => ({ path: a.path, file: a.file, type: CONTENT_TYPE[extname(a.file)], etag: `"${hashOf(a.text)}"` }));
	writeFileSync(join(out, 'manifest.json'), JSON.stringify(rows, null, '\t') + '\n');
}

/* A replacement given as a function is inserted as it is; "</script" and the
 * placeholders' own text must not occur in what is put inline. */
function writeViewer(out, viewer) {
	const js = fileEnding(viewer, '.js');
	const css = fileEnding(viewer, '.css');
	if (/<\/(script|style)|<!--|@@WICK/i.test(js + css)) fail('viewer code would end its own tag');
	const html = readFileSync(join(WEB, 'src/viewer.html'), 'utf8')
		.replace('@@CSS@@', () => css)
		.replace('@@JS@@', () => js);
	writeFileSync(join(out, 'viewer.html'), html);
}

async function writeTests(esbuild, out) {
	mkdirSync(join(out, 'test'), { recursive: true });
	const inputs = [];
	for (const name of readdirSync(join(WEB, 'test')).filter((n) => /\.(test|main)\.ts$/.test(n))) {
		const built = await bundle(esbuild, `test/${name}`, {
			format: 'esm', platform: 'node', target: 'node18', external: ['playwright-core'],
			define: { WEB_DIR: JSON.stringify(WEB), DIST_DIR: JSON.stringify(out) },
		});
		writeFileSync(join(out, 'test', name.replace(/\.ts$/, '.mjs')), fileEnding(built, '.js'));
		inputs.push(...built.inputs);
	}
	return inputs;
}

async function main() {
	const [major, minor] = process.versions.node.split('.').map(Number);
	if (major < 18 || (major === 18 && minor < 15)) fail(`node ${process.versions.node} is too old: 18.15 or newer is needed`);
	const opt = options(process.argv.slice(2));
	installPackages(opt.tests);
	const esbuild = createRequire(import.meta.url)('esbuild');

	mkdirSync(opt.out, { recursive: true });
	const app = await bundle(esbuild, 'src/views/main.tsx', {
		minify: true, format: 'esm', splitting: true, entryNames: 'app.[hash]', chunkNames: '[name].[hash]',
	});
	const viewer = await bundle(esbuild, 'src/views/viewer.tsx', { minify: true, format: 'iife' });
	writePage(opt.out, app);
	writeViewer(opt.out, viewer);
	const inputs = [...app.inputs, ...viewer.inputs, 'src/index.html', 'src/viewer.html', 'src/favicon.svg',
		'package-lock.json', 'build.mjs'];
	if (opt.tests) inputs.push(...(await writeTests(esbuild, opt.out)));

	if (opt.depfile) {
		const names = [...new Set(inputs)].map((i) => join(WEB, i).replace(/ /g, '\\ '));
		writeFileSync(opt.depfile, `${relative(process.cwd(), join(opt.out, 'manifest.json'))}: ${names.join(' ')}\n`);
	}
}

await main();
