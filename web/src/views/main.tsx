/* SPDX-License-Identifier: Apache-2.0 */
import { render } from 'preact';
import '../style.css';
import { App } from './app';
import { start } from './data';

start();
render(<App />, document.getElementById('app')!);
