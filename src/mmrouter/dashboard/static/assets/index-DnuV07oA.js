import{y as r}from"./index-BQjqEZp3.js";var a=r();export{a as r};
