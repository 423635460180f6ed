/**
 * The HTTP library in a module of its own, to be imported when the first request is made: the bundler gives a dynamic import
 * of a CommonJS package no named exports.
 */
export { Agent, ProxyAgent, request } from 'undici';
